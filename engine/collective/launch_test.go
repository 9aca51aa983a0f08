package collective

import "testing"

// TestLaunched: launchers are known by what they set; one process is none.
func TestLaunched(t *testing.T) {
	for _, c := range []struct {
		set   map[string]string
		by    string
		world int
		fails bool
	}{
		{nil, "", 0, false},
		{map[string]string{"OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "1"}, openMPI, 4, false},
		{map[string]string{"OMPI_COMM_WORLD_SIZE": "1", "PMIX_RANK": "0"}, "", 0, false},
		{map[string]string{"PMI_RANK": "0", "PMI_SIZE": "3", "PMI_FD": "5"}, hydra, 3, false},
		{map[string]string{"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "8"}, pmix, 8, false},
		{map[string]string{"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "8"}, "", 0, true},
		{map[string]string{"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, "", 0, false}, // the script of a job, outside a step
		{map[string]string{"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, torch, 2, false},
		{map[string]string{"RANK": "1", "WORLD_SIZE": "2", "NCCL_COMM_ID": "h:29500"}, torch, 2, false},
		{map[string]string{"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, "", 0, false},
		{map[string]string{"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "29500", "OMPI_COMM_WORLD_SIZE": "2"}, openMPI, 2, false},
		{map[string]string{"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "h", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "x", "PMIX_RANK": "1"}, torch, 4, false}, // srun torchrun
		{map[string]string{"RANK": "0", "WORLD_SIZE": "2"}, torch, 2, true},
		{map[string]string{"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, torch, 2, true},
		{map[string]string{"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "65535"}, torch, 2, true},
		{map[string]string{"RANK": "x", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, torch, 2, true},
		{map[string]string{"RANK": "0", "WORLD_SIZE": "0", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, torch, 0, true},
		{map[string]string{"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "2", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, torch, 2, true},
		{map[string]string{"RANK": "0"}, "", 0, true},
		{map[string]string{"WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "29500"}, "", 0, true},
		{map[string]string{"LOCAL_RANK": "0"}, "", 0, true},
		{map[string]string{"MASTER_ADDR": "h", "MASTER_PORT": "29500"}, "", 0, false},
		{map[string]string{"RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, openMPI, 2, false},
		{map[string]string{Variable: "1/3:/tmp/g", "RANK": "0"}, Variable, 3, false},
		{map[string]string{Variable: "0/1:/tmp/g"}, "", 0, false},
	} {
		l, err := launched(func(name string) string { return c.set[name] })
		if (err != nil) != c.fails || err == nil && (l.by != c.by || l.world != c.world || l.by == torch && l.address != "h:29501") {
			t.Errorf("%v: %+v, %v", c.set, l, err)
		}
	}
}

// TestVariable: what the variable may say.
func TestVariable(t *testing.T) {
	if l, err := byHand("2/4:/tmp/a:b"); l.rank != 2 || l.world != 4 || l.place != "/tmp/a:b" || err != nil {
		t.Errorf("%+v, %v", l, err)
	}
	for _, text := range []string{"", "2", "2/2:/tmp", "-1/2:/tmp", "0/2", "0/2:", "a/b:c"} {
		if _, err := byHand(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
