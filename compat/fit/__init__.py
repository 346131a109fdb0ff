"""What a model takes of memory in every mode, and whether that is here: judged before loading.

    prediction = predict(spec, Mode.NF4, Device.GPU, Workload(batch=4, length=2048))
    prediction.needs(Task.BACKWARD).gpu.total   # bytes

Imports no torch until a model has to be built, on fake tensors, for the first time.
"""

from compat.anatomy.size_facts import NotPredictableError
from compat.fit.facts import Facts
from compat.fit.needs import Amount, Needs, Task
from compat.fit.predict import predict
from compat.fit.prediction import Prediction
from compat.fit.workload import Workload

__all__ = [
    "Amount",
    "Facts",
    "Needs",
    "NotPredictableError",
    "Prediction",
    "Task",
    "Workload",
    "predict",
]
