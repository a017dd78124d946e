// What the page "Prove your own gradient" offers to start from. A test proves or refutes each.

import dropout from "./examples/dropout.py";
import layerNorm from "./examples/layer_norm.py";
import layerNormOnePath from "./examples/layer_norm_one_path.py";
import linear from "./examples/linear.py";
import linearTurned from "./examples/linear_turned.py";
import softmax from "./examples/softmax.py";

export const EXAMPLES = [
  { name: "linear, right", axes: 'x="N C_in", W="C_out C_in", b="C_out"', code: linear },
  { name: "linear, wrong", axes: 'x="N C", W="C C", b="C"', code: linearTurned },
  { name: "softmax", axes: 'x="N C"', code: softmax },
  { name: "LayerNorm", axes: 'x="N C", W="C", b="C"', code: layerNorm },
  { name: "LayerNorm, one path forgotten", axes: 'x="N C", W="C", b="C"', code: layerNormOnePath },
  { name: "dropout, a class", axes: 'x="N C"', code: dropout },
];
