"""NumPy's elementwise functions, recorded as NumPy computes, replayed on balls, differentiated."""

import numpy as np
import pytest

FORMS = r"""
np.exp(x)
np.log(x)
np.sqrt(x)
np.tanh(x)
np.sin(x)
x**2
x**3
x**0.5
x**-1.5
1/x
-x
abs(x)
np.abs(-x)
np.maximum(x,1)
np.minimum(x,x[::-1])
(x>1)*x
np.sign(x)
np.heaviside(x,.5)
np.add.reduce(x)
np.multiply.outer(x[0],x[1])
np.log1p(x)
np.expm1(x)
np.log2(x)
np.log10(x)
np.exp2(x)
np.arctan(x)
np.arcsin(x/3)
np.arctan2(x,2)
np.sinh(x)
np.tan(x)
np.hypot(x,2)
np.logaddexp(x,0)
np.square(x)
np.reciprocal(x)
np.cbrt(x)
np.power(x,2)
np.power(2.0,x)
x**x
np.mod(x,1)
x//1
np.floor(x)
np.vectorize(lambda v:v*v)(x)
np.copysign(x,-1)
np.positive(x)
np.exp([x[0,0],x[0,1]])
np.add([x[0,0],1],[2,x[0,1]])
np.maximum(x[0],[1,2,.5,1])
np.float_power(x,2)
np.float_power(x,2.5)
x**np.array([0,1,2,3])
x**[1,2,3,4]
x**np.array([0.5,1.,2.,3.])
x[0]**x[1]
x**0
x**1
x**-1
x**-2
x**2.0
2**x
(x-1.2)**3
(x-1.2)**[0,1,2,3]
x[0,0]**2
x[0,0]**0.5
x[0,0]**x[0,1]
(float(x[0,0])+1)*x
x%0.3
x%x[0]
np.fmod(x,.4)
np.fmod(-x,.4)
-x%0.3
-x//0.3+x
divmod(x,.3)[1]
np.modf(x)[0]
np.heaviside(x-1,0.5)*x
np.copysign(x,[-1,1,-1,1])
np.copysign(2.,x-1)*x
np.sign(x-1)*x
np.signbit(x-1)*x
np.maximum.reduce(x)
np.minimum.reduce(x,axis=1)
np.add.reduce(x,axis=(0,1))
np.multiply.reduce(x,axis=-1,keepdims=True)
np.logaddexp.reduce(x,axis=1)
np.logaddexp(x,x[::-1])
np.logaddexp2(x,1)
np.maximum.accumulate(x[0])
np.add.accumulate(x,1)
np.multiply.accumulate(x)
np.add.reduceat(x[0],[0,2,1])
np.add.reduceat(x,[0,2],axis=1)
np.subtract.outer(x[0],x[1])
np.add(x,1,where=x>1,out=np.zeros((3,4)))
np.exp(x,where=x>1,out=np.ones((3,4)))
np.degrees(x)
np.deg2rad(x)
np.ldexp(x,2)
np.cbrt(x-1)
np.arctan2(x,x[::-1])
np.hypot(x,x[0])
np.square(x-1)
np.fabs(x-1)
abs(x-1)
np.arccosh(x+1)
np.arctanh(x/3)
np.arcsinh(x)
np.cosh(x)
""".strip().splitlines()


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("code", FORMS)
def test_as_numpy_computes_and_differentiated_as_differences_say(code, dtype, engine):
    engine.agree(code, dtype)
