"""Recorded arrays behave as NumPy's own: numbers, indexing, views, and what is written in place."""

import numpy as np
import pytest

FORMS = r"""
x[::-1]
x.T
x[:,None]
x[[0,0,2]]
x[x>1]
x[np.ix_([0,1],[1,2])]
np.array([x[0],x[1]])
np.array([x[0,0],1.0,2])
np.asarray(x)
np.array(x,copy=True)
x.copy()
float(x[0,0])
x[0,0].item()
x.tolist()[0][0]
np.float64(x[0,0])
np.zeros((0,4))+x[:0]
x[:0]*x[0,0]
float(x[0,0])**2
float(x[0,0])**0.5
float(x[0,0])*2*x
x[...]
x[None,...,None]
x[1:2,...,0]
x[-1]
x[[True,False,True]]
x[np.array([[0,1],[2,0]])]
x[:,[0]]
x[(x>1)&(x<1.5)]
x[~(x>1)]
np.array([[x[0,0],2],[3,x[0,1]]])
np.array([x[0],[1,2,3,4]])
np.array(x,ndmin=3)
np.array(x[0,0])
np.array(list(x))
np.array(tuple(x[0]))
np.asarray([float(v) for v in x[0]])
np.ascontiguousarray(x.T)
np.full((2,2),x[0,0])
np.full(4,x[0])
x.nbytes*x
x.itemsize*x
x.strides[0]*x
x.real*2
abs(x[0,0])
int(x[0,0]*3)*x
bool(x[0,0])*x
len(x)*x
x[0,0].is_integer()*x
(x[0,0] in x)*x
np.isscalar(x[0,0])*x
isinstance(x[0,0],np.ndarray)*x+x
isinstance(x[0,0],np.floating)*x
isinstance(x[0,0],float)*x+x
isinstance(x,np.ndarray)*x
isinstance(float(x[0,0]),float)*x
(type(x)==np.ndarray)*x
np.issubdtype(x.dtype,np.floating)*x
np.shares_memory(x,x[0])*x
np.may_share_memory(x,x.copy())*x+x
x.flags.c_contiguous*x
x.ndim*x
np.size(x)*x
np.shape(x)[0]*x
np.result_type(x)==x.dtype and x*2
! r=np.zeros((3,4)); r+=x
! r=np.zeros((3,4)); r[:]=x; r*=2
! r=np.zeros((3,4)); np.add(x,x,out=r)
! r=np.zeros(4); np.add.at(r,[0,0,1],x[0,:3])
! r=np.zeros((3,4)); np.multiply(x,2,out=r,where=x>1)
! r=x.copy(); r[r>1]=0
! r=x.copy(); r[[0,1],[1,2]]+=1.0
! r=x.copy(); v=r[0]; v*=2
! r=x.copy(); r.T[0]=9.0
! r=0.0; r+=x[0,0]; q=r; r+=1; r=q
! r={}; r['a']=x; r=r['a']*2
! r=[]; r.append(x); r=np.array(r)
! r=x.copy(); r.flat[0]=5.0
! r=x.copy(); np.fill_diagonal(r,0)
! r=x.copy(); np.copyto(r,0*x)
! r=x.copy(); r.sort()
! r=x.copy(); np.subtract.at(r,(0,0),1.0)
! r=np.empty((3,4)); r[...]=x
! r=np.dot(x,x.T,out=np.empty((3,3),x.dtype))
! r=x.sum(0,out=np.empty(4))
! r=np.zeros((3,4),dtype=x.dtype); r+=x
! r=np.zeros(x.shape,np.float32); r+=x
! r=np.eye(4); r[0]+=x[0]
! r=np.arange(4.0); r+=x[0]
! r=np.random.default_rng(0).normal(size=4); r+=x[0]
! r=np.linspace(0,1,4); r-=x[0]
! r=math.exp(x[0,0])
! r=x[0,0]*math.sqrt(2)
! r=x.view(); r=r*2
! r=np.nditer(x); r=sum(float(v) for v in [x[0,0]])
! r=x; x=x/2; r=r-x
! import copy; r=copy.deepcopy(x)*2
! r='%.3f'%x[0,0]; r=x
! r=f'{x[0,0]:.3f}'; r=x
! r=isinstance(x,np.ndarray)*x
! r=x if x[0,0]>0 else -x
! r=np.array([[x[i,j]**2 for j in range(4)] for i in range(3)])
! r=np.fromiter((v for v in x[0]),float)
! r=np.ones((3,4)); r/=x; r@=np.ones((4,4))
! r=x.copy(); np.add.at(r,([0,0,1],[1,1,2]),x[0,:3])
! r=x.copy(); np.multiply.at(r,[0,0],2.0)
! r=x.copy(); np.maximum.at(r,[0,1],x[2]+[[0],[.1]])
! r=x.copy(); np.put(r,[0,5],[9.,x[0,0]])
! r=x.copy(); r.put([1,2],7)
! r=x.copy(); np.place(r,r>1,[5.,6.])
! r=x.copy(); np.putmask(r,r>1,x*2)
! r=x.copy(); np.put_along_axis(r,np.argmax(x,1)[:,None],0.0,1)
! r=x.copy(); np.copyto(r,5,where=x>1)
! r=np.zeros((3,4)); np.copyto(r,x)
! r=x.copy(); r.partition(2)
! r=x.copy(); r.sort(0)
! r=x.copy(); r.fill(3); r=r*x
! r=x.copy(); r.flat=x[0]
! r=x.copy(); r.flat[[1,3]]=x[0,:2]
! r=x.copy(); r[1:]=r[:-1]
! r=x.copy(); r[:,0]+=r[:,1]
! r=x.copy(); r[[0,0]]+=1
! r=x.copy(); r[x>1]*=2
! r=x.copy(); r[...]=2
! r=x.copy(); r-=r.mean(0)
! r=x.copy(); v=r.T; v[0]=x[0,:3]
! r=x.copy(); v=r.reshape(-1); v[3:5]=0
! r=x.copy(); v=r.ravel(); v+=1; r=r+v.sum()
! r=x.copy(); v=r[::2]; v/=3; r=r*v.sum()
! r=np.zeros((3,4)); r[0]=x[0]; q=r.copy(); r[0]=0; r=q+r
! r=np.zeros(3,np.float32); r[:]=x[:,0]; r=r*x[:,0]
! r=np.zeros((3,4),dtype=int); r=r+x
! r=np.empty((2,3,4)); r[0]=x; r[1]=2*x
! r=[np.zeros(4) for _ in range(2)]; r[0]+=x[0]; r=r[0]-r[1]+x[1]
! r=np.zeros((3,4)); r.T[:]=x.T
! r=np.concatenate([x,x]); r[0]=1
! r=x.copy(); a=r[0,0]; r[0,0]=5; r=r*a
! a=x[0]; b=a[0]; r=x.copy(); r[0]=9; r=r*b
! a=x.sum(); b=a; a+=1; r=a*b
! a=x[0,0]; a*=2; r=x*a
! r=x.mean(out=np.empty(())) if False else x*1
! r=np.cumsum(x,0,out=np.empty((3,4)))
! r=np.clip(x,0.7,1.2,out=np.empty((3,4)))
! r=np.take(x,[0,1],axis=0,out=np.empty((2,4),x.dtype))
! r=np.concatenate([x,x],out=np.empty((6,4)))
! r=np.stack([x,x],out=np.empty((2,3,4)))
! r=np.matmul(x,x.T,out=np.empty((3,3),x.dtype))
! r=np.einsum('ij,kj->ik',x,x,out=np.empty((3,3),x.dtype))
! r=x.copy(); np.subtract(r,1,out=r); np.exp(r,r)
! r=np.mean(x,axis=0,out=np.empty(4))
! r=x.copy(); r**=2
! r=x.copy(); r//=0.3; r=r+x
! r=x.copy(); r%=0.3
! r=x.copy(); r@=np.eye(4)*2
! d={}; d.setdefault('a',np.zeros(4)); d['a']+=x[0]; r=d['a']
! from collections import defaultdict; d=defaultdict(lambda:np.zeros(4)); d['k']+=x[0]; d['k']+=x[1]; r=d['k']
! r=np.array([v*v for v in x.flat])
! r=np.array([v for row in x.tolist() for v in row])**2
! r=sum(v**2 for v in x.ravel())
! r=0; r+=x[0].sum(); r+=x[1].sum()
! r=np.array([math.sqrt(v)+math.log(v)+math.tanh(v) for v in x[0]])
! r=math.hypot(x[0,0],x[0,1])*math.atan2(x[0,0],2)
! r=math.pow(x[0,0],2)+math.cbrt(x[0,0])
! r=math.fsum(x[0])*math.prod(x[1])
! r=x*math.floor(x[0,0]*3)
! r=math.log(x[0,0],2)+math.log2(x[0,0])+math.log10(x[0,0])
! r=math.exp(x[0,0].item())**2
! import functools; r=functools.reduce(np.multiply,list(x))
! import itertools; r=list(itertools.accumulate(x[0],lambda a,b:a*b))[-1]
! import operator; r=operator.mul(x[0],2)
! r=np.vectorize(lambda a,b:a*b)(x,2.0)
! r=np.fromfunction(lambda i,j:x[i.astype(int),j.astype(int)]*i,(3,4))
! r=np.eye(3)@x
! r=np.linspace(0,1,4)*x
! r=np.arange(4)*x
! r=np.tri(4)@x.T
! r=np.vander([1.,2.,3.],4)*x
! r=np.random.default_rng(0).normal(size=(3,4))*x
! np.random.seed(0); r=np.random.rand(3,4)*x
! r=np.random.RandomState(0).randn(4)*x
! g=np.random.default_rng(1); r=x*g.random(); r=r[g.permutation(3)]
! s=str(x)+repr(x[0,0])+format(x[0,0],'.2f')+'{}'.format(x); r=x
! s='%s %d %.2f'%(x[0,0],x[0,0],x[0,0]); r=x
! assert np.isfinite(x).all() and not np.isnan(x).any() and x.min()>0; r=x
! assert x.shape==(3,4) and x.dtype==np.float64 or x.dtype==np.float32; r=x
! import numpy.linalg as la; r=la.norm(x)*la.inv(x[:,:3])
! from numpy.linalg import norm; r=norm(x,axis=1)
! import numpy; r=numpy.tanh(x)
! from numpy import tanh as t, exp; r=t(x)*exp(x)
! f={'t':np.tanh,'r':lambda v:np.maximum(v,0)}; r=f['t'](x)+f['r'](x-1)
! r=getattr(np,'tanh')(x) if hasattr(np,'tanh') else x
! r=x.__matmul__(x.T)
! r=np.ndarray.sum(x,axis=0)
! r=np.float32(x[0,0])*x
! r=np.float64(2)*x
! r=np.array(2.0)*x
! r=np.int64(3)*x
! r=x*True
! r=x+1j*0 if False else x
! a,b=x[0],x[1]; a,b=b,a; r=a*2-b
! r=x; r=r+0; r[0]=0
! h=np.zeros((4,4)); h[1:]=x; r=h[:-1]*x.sum()
! h=[np.zeros(4)]; [h.append(np.tanh(h[-1]+v)) for v in x]; r=np.array(h)
! q=np.array_split(x.ravel(),5); r=np.concatenate(q)
""".strip().splitlines()


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("code", FORMS)
def test_as_numpy_computes_and_differentiated_as_differences_say(code, dtype, engine):
    engine.agree(code, dtype)
