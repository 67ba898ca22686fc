"""Softened outputs: "Distilling the Knowledge in a Neural Network" (Hinton, Vinyals & Dean 2015, arXiv 1503.02531).

L = a CE(y, p_S) + b T^2 KL(softmax(z_T / T) || softmax(z_S / T)); see `gradscope.labelling`.
"""

from gradscope.config import KdHinton
from gradscope.methods.distillation import Distilling


class KdHintonMethod(Distilling[KdHinton]):
    """The two terms that every distillation may have, and no other. The teacher may be asked once for all."""
