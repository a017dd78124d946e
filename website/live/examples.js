// What the page "Prove your own gradient" offers to start from, from easy to hard. A test proves or
// refutes each, and does what its comment says to try.

import batchNormPublished from "./examples/batch_norm_published.py";
import causalAttention from "./examples/causal_attention.py";
import dropout from "./examples/dropout.py";
import embedding from "./examples/embedding.py";
import layerNorm from "./examples/layer_norm.py";
import layerNormOnePath from "./examples/layer_norm_one_path.py";
import linear from "./examples/linear.py";
import linearReLU from "./examples/linear_relu.py";
import linearTurned from "./examples/linear_turned.py";
import rnn from "./examples/rnn.py";
import softmax from "./examples/softmax.py";

export const EXAMPLES = [
  { name: "linear, right", axes: 'x="N C_in", W="C_out C_in", b="C_out"', code: linear },
  { name: "linear, wrong", axes: 'x="N C", W="C C", b="C"', code: linearTurned },
  { name: "softmax", axes: 'x="N C"', code: softmax },
  { name: "embedding", axes: 'W="V D", ids="N < V"', code: embedding },
  {
    name: "linear and ReLU, a class",
    axes: 'x="N C_in", W="C_in C_out", b="C_out"',
    code: linearReLU,
  },
  { name: "dropout, a class", axes: 'x="N C"', code: dropout },
  { name: "LayerNorm", axes: 'x="N C", W="C", b="C"', code: layerNorm },
  { name: "LayerNorm, one path forgotten", axes: 'x="N C", W="C", b="C"', code: layerNormOnePath },
  { name: "BatchNorm, a published bug", axes: 'x="N C", W="C", b="C"', code: batchNormPublished },
  { name: "attention, causal", axes: 'q="T D", k="T D", v="T D"', code: causalAttention },
  { name: "RNN, a loop over time", axes: 'x="N T D", W="D H", U="H H"', code: rnn },
];
