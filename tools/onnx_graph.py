#!/usr/bin/env python3
"""Write the ONNX graph of all-MiniLM-L6-v2 whose weights stay in the model's own safetensors file.

usage: tools/onnx_graph.py model.safetensors TARGET.onnx [int8|fp32]

The initialisers are external data: offsets into a file named after its sha256, which is how the
local store names it, so the weights are mapped in place. `int8` quantises weights per output
channel and activations per row; ONNX Runtime folds the weights' part when it loads the graph.
The same input gives the same bytes.
"""

import hashlib
import json
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS, HIDDEN, HEADS = 6, 384, 12
EPSILON = 1e-12
OPSET, IR_VERSION = 20, 10
MASKED = -10000.0


@dataclass
class Graph:
    """Nodes and initialisers in the making."""

    location: str
    header: dict[str, dict[str, list[int]]]
    base: int
    quantised: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initialisers: dict[str, onnx.TensorProto] = field(default_factory=dict)
    rows: set[str] = field(default_factory=set)

    def weight(self, name: str) -> str:
        """Refer to a tensor of the safetensors file."""
        if name not in self.initialisers:
            meta = self.header[name]
            begin, end = meta["data_offsets"]
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=meta["shape"])
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", self.location),
                ("offset", str(self.base + begin)),
                ("length", str(end - begin)),
            ):
                tensor.external_data.add(key=key, value=value)
            self.initialisers[name] = tensor
        return name

    def constant(self, name: str, value: object, kind: type = np.float32) -> str:
        """Hold a small value in the graph itself."""
        self.initialisers.setdefault(name, numpy_helper.from_array(np.array(value, kind), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add one node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def linear(self, x: str, name: str, tag: str) -> str:
        """Add `x @ weight.T + bias`, in int8 if asked for."""
        weight = self.node("Transpose", [self.weight(f"{name}.weight")], f"{name}.T", perm=[1, 0])
        if self.quantised:
            product = self._int8(x, weight, name, tag)
        else:
            product = self.node("MatMul", [x, weight], f"{tag}.mm")
        return self.node("Add", [product, self.weight(f"{name}.bias")], tag)

    def _int8(self, x: str, weight: str, name: str, tag: str) -> str:
        top = self.constant("c127", 127.0)
        largest = self.node(
            "ReduceMax",
            [self.node("Abs", [weight], f"{name}.abs"), self.constant("axis0", [0], np.int64)],
            f"{name}.max",
            keepdims=0,
        )
        scale = self.node("Div", [largest, top], f"{name}.scale")
        rounded = self.node("Round", [self.node("Div", [weight, scale], f"{name}.d")], f"{name}.r")
        quantised = self.node("Cast", [rounded], f"{name}.q", to=TensorProto.INT8)
        self._quantise_rows(x)
        product = self.node(
            "MatMulInteger",
            [f"{x}.q", quantised, self.constant("zero128", 128, np.uint8)],
            f"{tag}.mi",
        )
        wide = self.node("Cast", [product], f"{tag}.mf", to=TensorProto.FLOAT)
        # One product of both scales would let ONNX Runtime 1.31 fuse the chain and lose the
        # per-row scale (the cosine drops to 0.73): multiply in two steps.
        return self.node(
            "Mul", [self.node("Mul", [wide, scale], f"{tag}.mw"), f"{x}.s"], f"{tag}.mm"
        )

    def _quantise_rows(self, x: str) -> None:
        """Make `x.q` (uint8, zero point 128) and `x.s` (a scale a row), once for each `x`."""
        if x in self.rows:
            return
        self.rows.add(x)
        largest = self.node(
            "ReduceMax",
            [self.node("Abs", [x], f"{x}.abs"), self.constant("axis-1", [-1], np.int64)],
            f"{x}.max",
            keepdims=1,
        )
        safe = self.node("Add", [largest, self.constant("tiny", 1e-8)], f"{x}.safe")
        scale = self.node("Div", [safe, self.constant("c127", 127.0)], f"{x}.s")
        rounded = self.node("Round", [self.node("Div", [x, scale], f"{x}.d")], f"{x}.r")
        shifted = self.node("Add", [rounded, self.constant("c128", 128.0)], f"{x}.shifted")
        self.node("Cast", [shifted], f"{x}.q", to=TensorProto.UINT8)

    def norm(self, x: str, name: str, output: str) -> str:
        """Add a layer normalisation."""
        inputs = [x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.node("LayerNormalization", inputs, output, axis=-1, epsilon=EPSILON)


def embeddings(g: Graph) -> str:
    """Add words, positions and types; return the first hidden state."""
    words = g.node("Gather", [g.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    shape = g.node("Shape", ["input_ids"], "shape")
    zero, one, two = (g.constant(f"i{n}", [n], np.int64) for n in (0, 1, 2))
    length = g.node("Slice", [shape, one, two], "length")
    positions = g.node(
        "Slice",
        [g.weight("embeddings.position_embeddings.weight"), zero, length, zero],
        "positions",
    )
    kind = g.node(
        "Gather",
        [g.weight("embeddings.token_type_embeddings.weight"), g.constant("z0", 0, np.int64)],
        "kind",
    )
    both = g.node("Add", [words, positions], "words+positions")
    return g.norm(g.node("Add", [both, kind], "embedded"), "embeddings.LayerNorm", "h0")


def layer(g: Graph, h: str, number: int) -> str:
    """Add one transformer layer; return its hidden state."""
    prefix = f"encoder.layer.{number}."
    split = g.constant("split", [0, 0, HEADS, HIDDEN // HEADS], np.int64)
    parts = {}
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        projected = g.linear(h, f"{prefix}attention.self.{part}", f"{part}{number}")
        shaped = g.node("Reshape", [projected, split], f"{part}{number}.heads")
        parts[part] = g.node("Transpose", [shaped], f"{part}{number}.t", perm=order)
    scores = g.node("MatMul", [parts["query"], parts["key"]], f"scores{number}")
    factor = g.constant("factor", 1 / np.sqrt(HIDDEN // HEADS))
    scaled = g.node("Mul", [scores, factor], f"scaled{number}")
    masked = g.node("Add", [scaled, "mask"], f"masked{number}")
    weights = g.node("Softmax", [masked], f"attention{number}", axis=-1)
    mixed = g.node("MatMul", [weights, parts["value"]], f"mixed{number}")
    joined = g.node("Transpose", [mixed], f"joined{number}", perm=[0, 2, 1, 3])
    context = g.node(
        "Reshape", [joined, g.constant("join", [0, 0, HIDDEN], np.int64)], f"context{number}"
    )
    out = g.linear(context, f"{prefix}attention.output.dense", f"out{number}")
    a = g.norm(
        g.node("Add", [out, h], f"out{number}+h"),
        f"{prefix}attention.output.LayerNorm",
        f"a{number}",
    )
    wide = g.node(
        "Gelu", [g.linear(a, f"{prefix}intermediate.dense", f"wide{number}")], f"gelu{number}"
    )
    narrow = g.linear(wide, f"{prefix}output.dense", f"narrow{number}")
    return g.norm(
        g.node("Add", [narrow, a], f"narrow{number}+a"),
        f"{prefix}output.LayerNorm",
        f"h{number + 1}",
    )


def pool(g: Graph, h: str) -> None:
    """Add the mean over the tokens, at unit length."""
    last = g.constant("last", [-1], np.int64)
    mask = g.node("Unsqueeze", ["maskf", last], "mask3")
    one = g.constant("i1", [1], np.int64)
    total = g.node("ReduceSum", [g.node("Mul", [h, mask], "hm"), one], "total", keepdims=0)
    count = g.node("ReduceSum", [mask, one], "count", keepdims=0)
    g.node("LpNormalization", [g.node("Div", [total, count], "mean")], "embedding", axis=-1, p=2)


def build(source: Path, mode: str) -> bytes:
    """Return the graph for a safetensors file."""
    with source.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        file.seek(0)
        location = hashlib.file_digest(file, "sha256").hexdigest()
    g = Graph(location=location, header=header, base=8 + size, quantised=mode == "int8")
    h = embeddings(g)
    g.node("Cast", ["attention_mask"], "maskf", to=TensorProto.FLOAT)
    axes = g.constant("axes12", [1, 2], np.int64)
    spread = g.node("Unsqueeze", ["maskf", axes], "mask4")
    inverse = g.node("Sub", [g.constant("one", 1.0), spread], "inverse")
    g.node("Mul", [inverse, g.constant("masked", MASKED)], "mask")
    for number in range(LAYERS):
        h = layer(g, h, number)
    pool(g, h)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", HIDDEN])
    graph = helper.make_graph(
        g.nodes, "all-MiniLM-L6-v2", inputs, [output], list(g.initialisers.values())
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString(deterministic=True))


def main() -> None:
    source, target, *mode = sys.argv[1:]
    Path(target).write_bytes(build(Path(source), mode[0] if mode else "int8"))


if __name__ == "__main__":
    main()
