"""Which names a pickle may import: a list of what is known to build data and do nothing else; whatever is not on it is told."""

from collections.abc import Mapping

from aiosd.models.findings import Severity


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BUILTINS = "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple"
_COPYREG = "_reconstructor __newobj__ __newobj_ex__"
_ARRAYS = "_reconstruct scalar"
_SCALARS = "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 longdouble complex64 complex128 str_ bytes_ object_ datetime64"
_RANDOM = "__randomstate_ctor __bit_generator_ctor __generator_ctor"
_PATHS = "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath"
_STORAGES = "Float Double Half BFloat16 Long Int Short Char Byte Bool Untyped Typed ComplexFloat ComplexDouble QInt8 QUInt8 QInt32 QUInt4x2 QUInt2x4"
_DTYPES = (
    "float float16 float32 float64 bfloat16 half double int int8 int16 int32 int64 long short uint8 bool complex64 complex128 "
    "float8_e4m3fn float8_e5m2 qint8 quint8 qint32"
)
_SPARSE = "csr_matrix csc_matrix coo_matrix bsr_matrix dia_matrix lil_matrix dok_matrix csr_array csc_array coo_array"

_NAMES: Mapping[str, str] = {
    "builtins": _BUILTINS, "__builtin__": f"{_BUILTINS} unicode long xrange",
    "copyreg": _COPYREG, "copy_reg": _COPYREG, "_codecs": "encode",
    "collections": "OrderedDict Counter defaultdict deque", "types": "SimpleNamespace", "argparse": "Namespace",
    "datetime": "date datetime time timedelta timezone", "decimal": "Decimal", "fractions": "Fraction", "uuid": "UUID",
    "pathlib": _PATHS, "pathlib._local": _PATHS,
    "numpy": f"dtype mean median ndarray matrix recarray record {_SCALARS}", "numpy.dtypes": "Float32DType Float64DType Int64DType Int32DType BoolDType",
    "numpy.core.multiarray": _ARRAYS, "numpy._core.multiarray": _ARRAYS, "numpy.core.numeric": "_frombuffer", "numpy._core.numeric": "_frombuffer",
    "numpy.ma.core": "_mareconstruct MaskedArray", "numpy.random._pickle": _RANDOM, "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM", "numpy.random.bit_generator": "__pyx_unpickle_SeedSequence SeedSequence",
    "numpy.random._philox": "Philox", "numpy.random._sfc64": "SFC64", "numpy.random.mtrand": "RandomState", "numpy.random._generator": "Generator",
    "joblib.numpy_pickle": "NumpyArrayWrapper", "scipy.sparse": _SPARSE,
    **{f"scipy.sparse.{module}": _SPARSE for module in ("_csr", "_csc", "_coo", "_bsr", "_dia", "_lil", "_dok", "csr", "csc", "coo")},
    "torch": f"Tensor Size device Generator strided {_DTYPES} {' '.join(f'{one}Storage' for one in _STORAGES.split())}",
    "torch.storage": "UntypedStorage TypedStorage", "torch.torch_version": "TorchVersion",
    "torch.nn.parameter": "Parameter Buffer UninitializedParameter", "torch.serialization": "_get_layout",
    "torch._utils": (
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor "
        "_rebuild_sparse_tensor _rebuild_meta_tensor_no_storage"
    ),
    "torch._tensor": "Tensor _rebuild_from_type_v2", "torch.jit._pickle": "build_intlist build_tensorlist build_doublelist build_boollist restore_type_tag",
    "sklearn.utils": "Bunch", "sklearn.utils._bunch": "Bunch", "sklearn.neighbors._kd_tree": "newObj", "sklearn.neighbors._ball_tree": "newObj",
    "sklearn.metrics._dist_metrics": "newObj", "numpy.ma": "MaskedArray",
    "sklearn.feature_selection._univariate_selection": "chi2 f_classif f_oneway f_regression r_regression",
    "sklearn.cluster._kmeans": "_kmeans_single_elkan _kmeans_single_lloyd", "scipy.interpolate._bsplines": "BSpline",
}  # fmt: skip
_ALLOWED = {(module, name) for module, names in _NAMES.items() for name in names.split()}

# Of these the classes: names of one word that begin with a capital letter, private ones too; not their functions, and nothing by a dotted name.
_CLASSES_OF = (
    "torch.nn.modules.",
    *(f"sklearn.{part}" for part in (
        "_loss.", "calibration.", "cluster.", "compose.", "covariance.", "cross_decomposition.", "decomposition.", "discriminant_analysis.", "dummy.",
        "ensemble.", "feature_extraction.", "feature_selection.", "gaussian_process.", "impute.", "isotonic.", "kernel_approximation.", "kernel_ridge.",
        "linear_model.", "manifold.", "metrics.", "mixture.", "model_selection.", "multiclass.", "multioutput.", "naive_bayes.", "neighbors.",
        "neural_network.", "pipeline.", "preprocessing.", "random_projection.", "semi_supervised.", "svm.", "tree.",
    )),
)  # fmt: skip
_COMPILED = "__pyx_unpickle_"  # how Cython makes an object of a class of its own module

# What is more than unknown: it runs code, loads other pickles, or leads to what does.
_DANGEROUS = _words("""
    __builtin__ _aix_support _codecs _io _operator _osx_support _pickle _posixsubprocess _pyrepl _thread aiohttp asyncio bdb builtins cffi cloudpickle
    code codecs codeop commands concurrent cPickle cProfile ctypes dill distutils doctest ensurepip fickling ftplib functools http httplib idlelib imaplib
    imp importlib inspect io jsonpickle lib2to3 linecache logging marshal modelscan multiprocessing nt ntpath numba operator os pathlib pdb pickle
    picklescan pickletools pip pkgutil platform posix posixpath profile pty pydoc requests runpy shelve shutil signal site smtplib socket sqlite3 ssl
    subprocess sys tempfile threading timeit trace turtle urllib urllib2 uuid venv webbrowser yaml zipimport
""")
_LOADERS = {
    ("joblib", "load"), ("numpy", "load"), ("torch", "load"), ("torch.storage", "_load_from_bytes"), ("torch.serialization", "load"),
    ("numpy", "fromfile"), ("pandas", "read_pickle"),
}  # fmt: skip
_MISUSED = (
    "numpy.f2py",
    "numpy.testing",
    "torch._dynamo",
    "torch._inductor",
    "torch.fx",
    "torch.hub",
    "torch.jit.unsupported",
    "torch.utils",
    "sklearn.datasets",
)


def judge(module: str, name: str, *, scripted: bool = False) -> Severity | None:
    """None: it is harmless. `scripted`: in an archive of TorchScript, whose classes are part of it."""
    top = module.partition(".")[0]
    if (module, name) in _ALLOWED or (scripted and top == "__torch__") or _is_class(module, name):
        return None
    dangerous = top in _DANGEROUS or (module, name) in _LOADERS or f"{module}.".startswith(_MISUSED)
    return Severity.DANGER if dangerous else Severity.UNKNOWN


def _is_class(module: str, name: str) -> bool:
    if not f"{module}.".startswith(_CLASSES_OF) or "tests" in module.split(".") or not name.isidentifier():
        return False
    return name.lstrip("_")[:1].isupper() or (name.startswith(_COMPILED) and module.startswith("sklearn."))
