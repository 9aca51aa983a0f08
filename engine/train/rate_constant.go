package train

var constant = rate{
	method{name: "constant", does: "a plateau"},
	func(Settings, int64) float64 { return 1 },
}
