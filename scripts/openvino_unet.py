"""Peer measurement: the forward pass of torch_unet.py's UNet in OpenVINO on the CPU, the fastest public CPU inference engine tried.
usage: openvino_unet.py CONFIG BATCH {fp32|bf16} [steps]"""
import resource, sys, time
T0 = time.time()
import openvino as ov, torch
import torch_unet

name, B, prec = sys.argv[1], int(sys.argv[2]), sys.argv[3]
steps = int(sys.argv[4]) if len(sys.argv) > 4 else 8
res, ch, outs, layers, attn = torch_unet.CFG[name]
m = torch_unet.UNet(ch, outs, layers, attn).eval()
x, t = torch.randn(B, ch, res, res), torch.rand(B) * 1000
with torch.no_grad():
    om = ov.convert_model(m, example_input=(x, t), input=[list(x.shape), list(t.shape)])
hint = {"INFERENCE_PRECISION_HINT": {"fp32": "f32"}.get(prec, prec), "INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY"}
r, a, ts = ov.Core().compile_model(om, "CPU", hint).create_infer_request(), [x.numpy(), t.numpy()], []
for i in range(steps + 2):
    t0 = time.time(); r.infer(a); ts.append(time.time() - t0)
    if i == 0: first = time.time() - T0
ts = sorted(ts[2:]); med = ts[len(ts) // 2]
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"first step after {first:.1f} s, peak RSS {rss:.2f} GB; openvino {ov.__version__.split('-')[0]} {name} batch {B} {prec} fwd: {med*1e3:.1f} ms, {B/med:.1f} img/s")
