"""NumPy's linear algebra: recorded as NumPy computes, replayed on balls, differentiated."""

import numpy as np
import pytest

FORMS = r"""
np.linalg.norm(x)
np.linalg.norm(x,axis=1)
np.linalg.norm(x,1,axis=1)
np.linalg.inv(x[:,:3])
np.linalg.solve(x[:,:3],x[0,:3])
np.linalg.det(x[:,:3])
np.linalg.multi_dot([x,x.T,x])
np.linalg.matrix_power(x[:,:3],2)
np.linalg.vecdot(x,x)
np.linalg.norm(x,axis=0,keepdims=True)
np.linalg.norm(x,'fro')
np.linalg.norm(x,axis=(0,1))
np.linalg.norm(x[0],np.inf)
np.linalg.norm(x,-np.inf,axis=0)
np.linalg.norm(x[0],3)
np.linalg.norm(x,keepdims=True)
np.linalg.inv(x[:,:3]+3*np.eye(3))
np.linalg.inv(np.stack([x[:,:3],x[:,1:]]))
np.linalg.solve(x[:,:3],x[:,1:])
np.linalg.solve(np.stack([x[:,:3],x[:,1:]]),x[:,:2])
np.linalg.solve(np.stack([x[:,:3],x[:,1:]]),x[:,0])
np.linalg.det(np.stack([x[:,:3],x[:,1:]]))
np.linalg.slogdet(x[:,:3])[1]
np.linalg.slogdet(x[:,:3])[0]*x
np.linalg.cholesky(x@x.T+np.eye(3))
np.linalg.cholesky(x@x.T+np.eye(3),upper=True)
np.linalg.pinv(x)
np.linalg.pinv(x.T)
np.linalg.matrix_power(x[:,:3],3)
np.linalg.matrix_power(x[:,:3],0)+x[:,:3]
np.linalg.matrix_power(x[:,:3],-1)
np.linalg.multi_dot([x,x.T,x,x.T])
np.linalg.vector_norm(x,axis=1)
np.linalg.matrix_norm(x)
np.linalg.trace(x[:,:3])
np.linalg.outer(x[0],x[1])
np.linalg.lstsq(x.T,x[0]**2,rcond=None)[0]
np.linalg.lstsq(x.T,x.T[:,:2]**2,rcond=None)[1]
""".strip().splitlines()


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("code", FORMS)
def test_as_numpy_computes_and_differentiated_as_differences_say(code, dtype, engine):
    engine.agree(code, dtype)
