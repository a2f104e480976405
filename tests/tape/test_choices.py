"""What chooses, orders and compares: recorded as NumPy computes, replayed on balls, differentiated."""

import numpy as np
import pytest

FORMS = r"""
np.clip(x,.8,1.5)
x.clip(.8,1.5)
np.where(x>1,x,0*x)
np.where(x>1,1.0,x)
np.sinc(x)
np.round(x,2)
x.round()
np.argmax(x)
x.argmax(1)
np.argsort(x[0])
np.sort(x,1)
np.allclose(x,x)
np.isnan(x).any()
np.any(x>1)
np.nan_to_num(x)
np.interp(1.0,[0,2],[x[0,0],x[0,1]])
np.apply_along_axis(np.sum,1,x)
np.select([x>1],[x])
np.piecewise(x,[x>1],[lambda v:v*v,0])
np.interp(x,[0,1,3],[1.,2.,5.])
np.interp(x[0],[0,1,3],x[1,:3])
np.interp([.3,.7],np.cumsum(x[0]),x[1])
np.interp(5.0,[0,1,3],x[1,:3])
np.bincount([0,1,1,3],weights=x[0])
np.bincount([0,1,1,3],x[0],6)
np.histogram([.1,.5,.5,.9],bins=3,weights=x[0])[0]
np.histogram(x,bins=[0.,1.,2.])[0]*x[0,:2]
np.histogram(x,bins=3,range=(0,3),weights=x)[0]
np.sort(x,axis=None)
np.sort(x,axis=0)
np.sort(x)[:,::-1]
x[np.arange(3)[:,None],np.argsort(x,1)]
np.partition(x,2,axis=1).sum(1)
np.partition(x[0],-2)[-1]
x[0][np.argpartition(x[0],1)]
x[0][x[0].argpartition(2)]
np.unique(x)
x[np.arange(3),x.argmax(axis=1)]
x[x.argmin(0),np.arange(4)]
np.take_along_axis(x,np.argmax(x,axis=1,keepdims=True),1)
x*np.searchsorted([.7,1.,1.5],x)
x*np.digitize(x,[.7,1.,1.5])
x*np.digitize(x,[1.5,1.,.7])
np.clip(x,None,1.)
np.clip(x,x[0],2)
np.clip(x,a_min=.7,a_max=None)
x.clip(min=.9)
np.where(x>1,x,0.0)
np.where(x>1,0,x)
np.where([True,False,True,False],x,x*2)
np.where(x>1,x,np.float32(2))
np.select([x>1.5,x>1],[x,x**2],default=.5)
np.select([x>1.5,x>1],[x,3])
np.piecewise(x,[x<1,x>=1],[lambda v:v**2,5.])
np.round(x,1)*x
x.round(2)+x
np.rint(x)*x
np.fix(x)+x
np.ceil(x)*x
np.trunc(x*3)*x
np.sinc(x-x[0,0])
np.linspace(x[0,0],x[0,1],5)
np.linspace(x[0],x[1],3)
np.linspace(0,x[0,0],4,endpoint=False)
np.apply_along_axis(lambda r:r/r.sum(),0,x)
np.apply_along_axis(lambda r:r.sum(),1,x)
x[np.nonzero(x>1)]
x[np.where(x>1)]
np.where(np.isnan(x),0,x)
np.any(x>1)*x
np.all(x>0,axis=0)*x
np.count_nonzero(x>1)*x
np.isclose(x,1)*x
np.allclose(x,x+1e-9)*x
np.array_equal(x,x)*x
sorted(x[0])[1]
round(x[0,0],1)*x
round(x[0,0])*x
""".strip().splitlines()


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("code", FORMS)
def test_as_numpy_computes_and_differentiated_as_differences_say(code, dtype, engine):
    engine.agree(code, dtype)
