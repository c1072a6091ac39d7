"""An analytic abdomen of known truth: a synthetic CT with exact masks, for the demo, the tests and training."""

from vision.phantom.condition import REMOVABLE, Condition
from vision.phantom.make import make_phantom
from vision.phantom.tissues import PHASES
from vision.phantom.truth import Lesion, LesionTruth, Phantom, PhantomTruth

__all__ = ["PHASES", "REMOVABLE", "Condition", "Lesion", "LesionTruth", "Phantom", "PhantomTruth", "make_phantom"]
