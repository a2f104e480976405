"""NumPy's products: recorded as NumPy computes, replayed on balls, differentiated."""

import numpy as np
import pytest

FORMS = r"""
x@x.T
np.dot(x,x.T)
x.dot(x[0])
np.matmul(x[None],x.T[None])
np.outer(x[0],x[1])
np.inner(x,x)
np.vdot(x,x)
np.tensordot(x,x,([1],[1]))
np.einsum("ij,kj->ik",x,x)
np.einsum("ij,ij->i",x,x)
np.einsum("ij->j",x)
np.einsum("ii->i",x[:,:3])
np.einsum("i,j,k->ijk",x[0],x[1],x[2])
np.kron(x,x)
np.trace(x)
np.convolve(x[0],x[1])
np.correlate(x[0],x[1])
np.cross(x[:,:3],x[:,1:])
np.polyval([x[0,0],1],2.0)
np.matvec(x,x[0])
np.vecdot(x,x)
np.dot([x[0,0],x[0,1]],[1,2])
np.einsum('ij,ij->',x,x)
np.einsum('ij,ij->ij',x,x)
np.einsum('ij->ji',x)
np.einsum('ij,j',x,x[0])
np.einsum('ij,jk',x,x.T)
np.einsum('...j,j->...',x,x[0])
np.einsum('bij,bjk->bik',x[None],x.T[None])
np.einsum('bij,bkj->bik',np.stack([x,2*x]),np.stack([x,x]))
np.einsum('ij,ik,i->jk',x,x,x[:,0])
np.einsum('ij,kl->',x,x)
np.einsum('i,i,i->i',x[0],x[1],x[2])
np.einsum('ij,jk,kl->il',x,x.T,x)
np.einsum('ii',x[:,:3])
np.einsum('ij,ij,j->i',x,x,x[0])
np.einsum('bhqd,bhkd->bhqk',x.reshape(1,1,3,4),x.reshape(1,1,3,4))
np.einsum('i->',x[0])
np.einsum(',ij->ij',x[0,0],x)
np.einsum('ij,jk->',x,x.T,optimize=True)
np.tensordot(x,x,axes=((0,-1),(0,-1)))
np.tensordot(x,x,0)
np.tensordot(x,x.T,axes=1)
np.dot(x[None],x.T)
np.dot(x,np.stack([x.T,x.T]))
np.inner(x[0],x)
np.inner(np.stack([x,x]),x)
np.dot(2.0,x)
np.dot(x[0,0],x)
np.matmul(x[0],x.T)
np.matmul(x,x[0])
np.matmul(np.stack([x,x]),x.T)
np.matmul(x,np.stack([x.T,x.T]))
np.matmul(x[0],np.stack([x.T,x.T]))
np.matmul(np.stack([x,x]),x[0])
x[:0]@x.T
x[:,:0]@x.T[:0]
np.cross(x[:,:3],x[0,:3])
np.trace(x,1)
np.trace(np.stack([x,x]),axis1=1,axis2=2)
np.trace(x,-1)
np.convolve(x[0],x[1],'same')
np.convolve(x[0],x[1,:2],'valid')
np.convolve(x[0,:2],x[1],'same')
np.convolve(x[0],x[1,:2],'same')
np.correlate(x[0],x[1],'full')
np.correlate(x[0],x[1,:2],'same')
np.correlate(x[0],x[1,:3],'valid')
np.polyval(x[0],x[1])
np.polyval(x[0],1.5)
np.cov(x)
np.cov(x[0],x[1])
np.corrcoef(x[:2])
np.vecmat(x[:,0],x)
np.matvec(np.stack([x,x]),x[0])
(np.lib.stride_tricks.sliding_window_view(x[0],2)@np.array([1.,2.]))
x.T@x
x.T.copy()@x
x[:,1:]@x[:,1:].T
x[::2]@x[::2].T
x.T[1:]@x
x[:,0]@x[:,1]
x[:,::2].T@x
np.ones((3,4))[:,:2].T@x
""".strip().splitlines()


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("code", FORMS)
def test_as_numpy_computes_and_differentiated_as_differences_say(code, dtype, engine):
    engine.agree(code, dtype)
