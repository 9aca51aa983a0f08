package sim

// Reconvergence. Where the lanes of a warp part at a branch, they meet again at
// its immediate post-dominator: the first instruction through which every way to
// the end leads. Every instruction is a node of the graph; node n is the end.

// joins returns the immediate post-dominator of every instruction given its
// successors, or −1 where lanes meet only at the end.
func joins(successors [][]int) []int {
	n := len(successors)
	predecessors := make([][]int, n+1)
	for i, list := range successors {
		for _, s := range list {
			predecessors[s] = append(predecessors[s], i)
		}
	}
	// Order of the reversed graph, from the end: post-order numbers.
	number := make([]int, n+1)
	for i := range number {
		number[i] = -1
	}
	order := make([]int, 0, n+1)
	visited := make([]bool, n+1)
	type visit struct{ node, next int }
	stack := []visit{{n, 0}}
	visited[n] = true
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.next < len(predecessors[v.node]) {
			p := predecessors[v.node][v.next]
			v.next++
			if !visited[p] {
				visited[p] = true
				stack = append(stack, visit{p, 0})
			}
			continue
		}
		number[v.node] = len(order)
		order = append(order, v.node)
		stack = stack[:len(stack)-1]
	}
	// Cooper, Harvey, Kennedy: A Simple, Fast Dominance Algorithm.
	dominator := make([]int, n+1)
	for i := range dominator {
		dominator[i] = -1
	}
	dominator[n] = n
	for changed := true; changed; {
		changed = false
		for k := len(order) - 2; k >= 0; k-- {
			node, best := order[k], -1
			for _, s := range successors[node] {
				if dominator[s] < 0 {
					continue
				}
				if best < 0 {
					best = s
					continue
				}
				for a := s; a != best; {
					for number[a] < number[best] {
						a = dominator[a]
					}
					for number[best] < number[a] {
						best = dominator[best]
					}
				}
			}
			if best != dominator[node] {
				dominator[node], changed = best, true
			}
		}
	}
	for i := range dominator {
		if dominator[i] == n {
			dominator[i] = -1
		}
	}
	return dominator[:n]
}
