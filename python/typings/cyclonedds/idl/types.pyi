from typing import Annotated

__all__ = ["array", "float32", "float64", "int32", "sequence", "uint32"]

array = Annotated
float32 = float
float64 = float
int32 = int
uint32 = int
sequence = list
