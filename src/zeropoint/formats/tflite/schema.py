"""The part of the published TFLite FlatBuffers schema (version 3) that this package speaks, as data.

``decode`` and ``encode`` walk this description; there is no generated code. A table is one entry of
``_TABLES``: its fields in slot order, each ``name type`` or ``name type=default``. Types are

    bool i8 u8 i32 u32 u64 i64 f32   scalars            [i32] [bool] [f32]         vectors of scalars
    str bytes                        text, raw bytes     f32s i64s                  long ones, read as views
    Enum                             a name from _ENUMS  Name [Name]                tables, vectors of tables
                                                         union                      one of ``OPTIONS``, chosen by
                                                                                    the field ``<name>_type``
and ``_`` is a slot nobody here reads (deprecated, or of no meaning for a network that is only run).
A table with no fields is read as "present" and no further. No table contains itself, so the depth of
a read is bounded by this page whatever a file claims.
"""

from __future__ import annotations

from struct import calcsize
from typing import Any, NamedTuple

MODEL_VERSION = 3
FILE_IDENTIFIER = b"TFL3"

# Position is value; each is stored in one byte.
_ENUMS = {
    "TensorType": "FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64 "
    "RESOURCE VARIANT UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2",
    "Padding": "SAME VALID",
    "Activation": "NONE RELU RELU_N1_TO_1 RELU6 TANH SIGN_BIT",
    "WeightsFormat": "DEFAULT SHUFFLED4x16INT8",
    "LSTMKernel": "FULL BASIC",
    "MirrorMode": "REFLECT SYMMETRIC",
    "Combiner": "SUM MEAN SQRTN",
    "LSHKind": "UNKNOWN SPARSE DENSE",
    "CustomFormat": "FLEXBUFFERS",
}

_TABLES = """
Model: version u32, operator_codes [OperatorCode], subgraphs [SubGraph], description str, buffers [Buffer], _, \
metadata [Metadata], signature_defs [SignatureDef]
OperatorCode: deprecated_builtin_code i8, custom_code str, version i32=1, builtin_code i32
SubGraph: tensors [Tensor], inputs [i32], outputs [i32], operators [Operator], name str
Tensor: shape [i32], type TensorType, buffer u32, name str, quantization QuantizationParameters, is_variable bool, \
sparsity Opaque, shape_signature [i32], has_rank bool, variant_tensors [Opaque], external_buffer u32
QuantizationParameters: min f32s, max f32s, scale f32s, zero_point i64s, details_type u8, _, quantized_dimension i32
Operator: opcode_index u32, inputs [i32], outputs [i32], builtin_options_type u8, builtin_options union, \
custom_options bytes, custom_options_format CustomFormat, mutating_variable_inputs [bool], intermediates [i32], \
large_custom_options_offset u64, large_custom_options_size u64
Buffer: data bytes, offset u64, size u64
Metadata: name str, buffer u32
TensorMap: name str, tensor_index u32
SignatureDef: inputs [TensorMap], outputs [TensorMap], signature_key str, _, subgraph_index u32
Opaque:
Conv2DOptions: padding Padding, stride_w i32, stride_h i32, fused_activation_function Activation, \
dilation_w_factor i32=1, dilation_h_factor i32=1, quantized_bias_type TensorType
DepthwiseConv2DOptions: padding Padding, stride_w i32, stride_h i32, depth_multiplier i32, \
fused_activation_function Activation, dilation_w_factor i32=1, dilation_h_factor i32=1
Conv3DOptions: padding Padding, stride_d i32, stride_w i32, stride_h i32, fused_activation_function Activation, \
dilation_d_factor i32=1, dilation_w_factor i32=1, dilation_h_factor i32=1
TransposeConvOptions: padding Padding, stride_w i32, stride_h i32, fused_activation_function Activation, \
quantized_bias_type TensorType
Pool2DOptions: padding Padding, stride_w i32, stride_h i32, filter_width i32, filter_height i32, \
fused_activation_function Activation
FullyConnectedOptions: fused_activation_function Activation, weights_format WeightsFormat, keep_num_dims bool, \
asymmetric_quantize_inputs bool, quantized_bias_type TensorType
SoftmaxOptions: beta f32
ConcatenationOptions: axis i32, fused_activation_function Activation
AddOptions: fused_activation_function Activation, pot_scale_int16 bool=1
SubOptions: fused_activation_function Activation, pot_scale_int16 bool=1
MulOptions: fused_activation_function Activation
DivOptions: fused_activation_function Activation
L2NormOptions: fused_activation_function Activation
LocalResponseNormalizationOptions: radius i32, bias f32, alpha f32, beta f32
LSTMOptions: fused_activation_function Activation, cell_clip f32, proj_clip f32, kernel_type LSTMKernel, \
asymmetric_quantize_inputs bool
UnidirectionalSequenceLSTMOptions: fused_activation_function Activation, cell_clip f32, proj_clip f32, \
time_major bool, asymmetric_quantize_inputs bool, diagonal_recurrent_tensors bool
BidirectionalSequenceLSTMOptions: fused_activation_function Activation, cell_clip f32, proj_clip f32, \
merge_outputs bool, time_major bool=1, asymmetric_quantize_inputs bool
SVDFOptions: rank i32, fused_activation_function Activation, asymmetric_quantize_inputs bool
RNNOptions: fused_activation_function Activation, asymmetric_quantize_inputs bool
SequenceRNNOptions: time_major bool, fused_activation_function Activation, asymmetric_quantize_inputs bool
BidirectionalSequenceRNNOptions: time_major bool, fused_activation_function Activation, merge_outputs bool, \
asymmetric_quantize_inputs bool
ResizeBilinearOptions: _, _, align_corners bool, half_pixel_centers bool
ResizeNearestNeighborOptions: align_corners bool, half_pixel_centers bool
ReshapeOptions: new_shape [i32]
SqueezeOptions: squeeze_dims [i32]
SpaceToDepthOptions: block_size i32
DepthToSpaceOptions: block_size i32
GatherOptions: axis i32, batch_dims i32
ReducerOptions: keep_dims bool
SplitOptions: num_splits i32
SplitVOptions: num_splits i32
StridedSliceOptions: begin_mask i32, end_mask i32, ellipsis_mask i32, new_axis_mask i32, shrink_axis_mask i32, \
offset bool
CastOptions: in_data_type TensorType, out_data_type TensorType
ArgMaxOptions: output_type TensorType
ArgMinOptions: output_type TensorType
ShapeOptions: out_type TensorType
FakeQuantOptions: min f32, max f32, num_bits i32, narrow_range bool
PackOptions: values_count i32, axis i32
UnpackOptions: num i32, axis i32
OneHotOptions: axis i32
LeakyReluOptions: alpha f32
MirrorPadOptions: mode MirrorMode
UniqueOptions: idx_out_type TensorType=2
ReverseSequenceOptions: seq_dim i32, batch_dim i32
BatchMatMulOptions: adj_x bool, adj_y bool, asymmetric_quantize_inputs bool
CumsumOptions: exclusive bool, reverse bool
GeluOptions: approximate bool
SparseToDenseOptions: validate_indices bool
ConcatEmbeddingsOptions: num_channels i32, num_columns_per_channel [i32], embedding_dim_per_channel [i32]
EmbeddingLookupSparseOptions: combiner Combiner
LSHProjectionOptions: type LSHKind
SkipGramOptions: ngram_size i32, max_skip_size i32, include_all_ngrams bool
HashtableOptions: table_id i32, key_dtype TensorType, value_dtype TensorType
VarHandleOptions: container str, shared_name str
RandomOptions: seed i64, seed2 i64
BucketizeOptions: boundaries [f32]
"""

# The members of the union BuiltinOptions; position is value. Those without an entry above have no fields.
_OPTIONS = """
Conv2D DepthwiseConv2D ConcatEmbeddings LSHProjection Pool2D SVDF RNN FullyConnected Softmax Concatenation Add L2Norm
LocalResponseNormalization LSTM ResizeBilinear Call Reshape SkipGram SpaceToDepth EmbeddingLookupSparse Mul Pad Gather
BatchToSpaceND SpaceToBatchND Transpose Reducer Sub Div Squeeze SequenceRNN StridedSlice Exp TopKV2 Split LogSoftmax
Cast Dequantize MaximumMinimum ArgMax Less Neg PadV2 Greater GreaterEqual LessEqual Select Slice TransposeConv
SparseToDense Tile ExpandDims Equal NotEqual Shape Pow ArgMin FakeQuant Pack LogicalOr OneHot LogicalAnd LogicalNot
Unpack FloorDiv Square ZerosLike Fill BidirectionalSequenceLSTM BidirectionalSequenceRNN UnidirectionalSequenceLSTM
FloorMod Range ResizeNearestNeighbor LeakyRelu SquaredDifference MirrorPad Abs SplitV Unique ReverseV2 AddN GatherNd
Cos Where Rank ReverseSequence MatrixDiag Quantize MatrixSetDiag HardSwish If While DepthToSpace NonMaxSuppressionV4
NonMaxSuppressionV5 ScatterNd SelectV2 Densify SegmentSum BatchMatMul Cumsum CallOnce BroadcastTo Rfft2d Conv3D
Hashtable HashtableFind HashtableImport HashtableSize VarHandle ReadVariable AssignVariable Random Bucketize Gelu
DynamicUpdateSlice UnsortedSegmentProd UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentSum ATan2 Sign Bitcast
BitwiseXor RightShift
"""
OPTIONS: tuple[str, ...] = ("", *(f"{name}Options" for name in _OPTIONS.split()))

# The enum BuiltinOperator; position is value.
_BUILTINS = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2
GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG
SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT
UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU
SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE
MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO
RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE
RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE
STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE
STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH
STABLEHLO_SCATTER STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
"""
BUILTINS: tuple[str, ...] = tuple(_BUILTINS.split())

# Kinds of numbers: struct's letter, bytes, and the Python type that holds them.
FORMATS = {"bool": "?", "i8": "b", "u8": "B", "i32": "i", "u32": "I", "i64": "q", "u64": "Q", "f32": "f"}
WIDTHS = {kind: calcsize(f"<{letter}") for kind, letter in FORMATS.items()}
_PYTHON: dict[str, type[int | float]] = dict.fromkeys(FORMATS, int) | {"bool": bool, "f32": float}


class Field(NamedTuple):
    """One slot of a table. ``form``: scalar, enum, vector, numbers, str, bytes, nested, tables or union; ``of`` is the
    number kind, the enum or the table; ``width`` the bytes it takes in the table, which ``code`` reads (``struct``'s
    letter; an unsigned offset for all that lies elsewhere)."""

    name: str
    slot: int
    form: str
    of: str
    width: int
    default: Any
    code: str
    values: tuple[str, ...]

    @property
    def elsewhere(self) -> bool:
        """Whether the table holds only an offset to the value."""
        return self.form not in ("scalar", "enum")


class Table(NamedTuple):
    """One table of the schema: its fields, the same by slot (None: nobody here reads it), and what each field reads as
    where a file leaves it out."""

    name: str
    fields: tuple[Field, ...]
    slots: tuple[Field | None, ...]
    defaults: dict[str, Any]


def _field(name: str, slot: int, kind: str) -> Field:
    kind, _, default = kind.partition("=")
    if kind in FORMATS:
        return Field(name, slot, "scalar", kind, WIDTHS[kind], _PYTHON[kind](int(default or 0)), FORMATS[kind], ())
    if kind in _ENUMS:
        values = tuple(_ENUMS[kind].split())
        return Field(name, slot, "enum", kind, 1, values[int(default or 0)], "b", values)
    if kind.startswith("["):
        inner = kind[1:-1]
        return Field(name, slot, "vector" if inner in FORMATS else "tables", inner, 4, (), "I", ())
    if kind.removesuffix("s") in FORMATS:
        return Field(name, slot, "numbers", kind[:-1], 4, (), "I", ())
    if kind in ("str", "bytes", "union"):
        return Field(name, slot, kind, "", 4, "" if kind == "str" else None, "I", ())
    return Field(name, slot, "nested", kind, 4, None, "I", ())


def _tables() -> dict[str, Table]:
    described = {line.partition(":")[0]: line.partition(":")[2] for line in _TABLES.split("\n") if line}
    tables: dict[str, Table] = {}
    for name in [*described, *OPTIONS[1:]]:
        entries = [entry.split() for entry in described.get(name, "").split(",")]
        slots = tuple([_field(e[0], slot, e[1]) if len(e) == 2 else None for slot, e in enumerate(entries)])
        fields = tuple([f for f in slots if f is not None])
        tables[name] = Table(name, fields, slots, {f.name: f.default for f in fields})
    return tables


TABLES: dict[str, Table] = _tables()

_SHARED_OPTIONS = {
    "Pool2DOptions": "AVERAGE_POOL_2D MAX_POOL_2D L2_POOL_2D",
    "L2NormOptions": "L2_NORMALIZATION",
    "ReducerOptions": "MEAN SUM REDUCE_PROD REDUCE_MAX REDUCE_MIN REDUCE_ANY REDUCE_ALL",
    "MaximumMinimumOptions": "MAXIMUM MINIMUM",
    "SequenceRNNOptions": "UNIDIRECTIONAL_SEQUENCE_RNN",
    "Conv3DOptions": "CONV_3D_TRANSPOSE",
    "RandomOptions": "RANDOM_UNIFORM RANDOM_STANDARD_NORMAL MULTINOMIAL",
}


def _options_of() -> dict[str, str]:
    found = {name: table for table, names in _SHARED_OPTIONS.items() for name in names.split()}
    by_spelling = {table.lower(): table for table in OPTIONS[1:]}
    for builtin in BUILTINS:
        table = by_spelling.get(builtin.replace("_", "").lower() + "options")
        if table is not None:
            found.setdefault(builtin, table)
    return found


# Builtin operator -> the option table it uses; operators absent here have none.
OPTIONS_OF: dict[str, str] = _options_of()
