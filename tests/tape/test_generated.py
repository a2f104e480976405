"""Generated programs: recorded bit for bit, within their rounding bounds, differentiated as differences say."""

import numpy as np
import pytest

from gradlab.arithmetic.balls import midpoints, precision
from gradlab.arithmetic.rounded import RoundedArithmetic
from gradlab.tape import replay
from gradlab.tape.replay import ties

EXPRESSIONS = """
a+b
a-b
a*b
a/(1+b*b)
np.tanh(a)
np.exp(-a*a)
np.sin(a)*b
np.maximum(a,b)
np.minimum(a,0.3)
np.abs(a)+b
np.where(a>b,a,b*2)
np.clip(a,-.5,.6)
a@np.eye(4)*b
(a@b.T)@a/10
np.dot(a.T,b).sum()*a/10
a-a.mean(0)
a-a.mean(axis=1,keepdims=True)
a/(a.std()+1)
np.cumsum(a,1)/4
np.cumsum(a,0)/3
np.sort(a,1)
np.sort(a,0)
a[::-1]+b
a[:,::-1]*b
np.roll(a,1,1)
np.roll(a,-1,0)
np.concatenate([a[1:],b[:1]])
np.concatenate([a[:,2:],b[:,:2]],1)
np.vstack([a[0],b[1:]])
np.einsum('ij,kj->ik',a,b)@a/10
np.einsum('ij,ij->i',a,b)[:,None]*a
np.outer(a[:,0],b[0])
a.T.reshape(3,4)
a.ravel('F').reshape(3,4)
np.pad(a[1:],((1,0),(0,0)))
np.pad(a[:,:3],((0,0),(0,1)),mode='edge')
np.take(a,[0,0,1],0)
a[[2,0,0]]*b
a[:,[1,1,2,3]]
np.where(a>0,a,0.0)
a*(a>0)
a.max(axis=1,keepdims=True)-a
a-a.min()
np.linalg.norm(a,axis=1)[:,None]*b
np.log(1+np.exp(a))
np.logaddexp(a,b)
np.sqrt(1+a*a)
np.square(a)-b
a**3/3
np.power(1+a*a,.7)
np.prod(1+a*a/4,axis=0)*b/10
np.var(a,0)+b
np.diff(a,axis=1,prepend=0)
np.tril(a)+np.triu(b)
np.flip(a,0)
np.stack([a,b]).sum(0)
np.stack([a,b])[1]-a
np.stack([a,b],-1).max(-1)
np.arctan2(a,1+b*b)
np.hypot(a,1+b)
np.full_like(a,.5)*a
sum([a,b,a])
np.broadcast_to(a[0],(3,4))+b
np.tile(a[:,:2],2)
np.repeat(a[:,:2],2,1)
np.swapaxes(a,0,1).copy().T
np.split(a,2,1)[0].repeat(2,1)
a.mean()*b
a[a>-9].reshape(3,4)
np.linalg.solve(a[:,:3]+4*np.eye(3),b)
np.linalg.inv(a[:,:3]+4*np.eye(3))@b
np.linalg.det(a[:,:3]/4+np.eye(3))*b
np.median(a,0)+b
np.quantile(a,.3)*b
np.cumprod(1+a/4,1)
np.convolve(a[0],b[0],'same')+a
np.apply_along_axis(lambda r:r*r.sum(),1,a)
np.vectorize(lambda v:v*v)(a)
np.kron(a[:1,:2],b[:,:2])
np.trapezoid(a,axis=0)+b
float(a[0,0])*b
a[0,0].item()**2*b
max(a[0])*b
a[1,2]*b+a[0]
np.delete(np.insert(a,1,b[0],0),0,0)
np.float64(a[1,1])*a
np.array([[v*2 for v in r] for r in a])
np.array([a[0],b[1],a[2]])
np.choose((a>b).astype(int),[a,b])
np.select([a>.5,a<-.5],[a*2,b],a)
np.expm1(a/2)
np.cosh(a/2)-b
np.mod(a,2.5)
np.floor(a)*b
np.sign(a)*b
np.round(a,1)+b
np.interp(a,[-9,0,9],[0.,1.,5.])*b
np.argmax(a)*b/10
a[np.arange(3),np.argmax(a,1)][:,None]*b
np.nan_to_num(a)
np.fmax(a,b)
np.copysign(a,b)
""".strip().splitlines()

STATEMENTS = """
b[0]=a[0]
b[:,1]+=a[:,0]
b*=.5
b+=a
b[::2]-=a[1]
b[a>0]=.25
b[[0,0]]+=1.0
np.add.at(b,[0,0,1],a)
np.add(a,b,out=b)
np.multiply(a,2,out=b,where=a>0)
c=b.T; c[0]=a[:,0]
c=b[1]; c*=a[0]
c=b.reshape(-1); c[2:5]=a[0,:3]
c=b.ravel(); c+=.1
b.flat[3]=a[0,0]
b.sort(1)
b.fill(.5)
b[...]=a
np.copyto(b,a)
b-=b.mean()
b[1:]=b[:-1]
b[:,:2],b[:,2:]=a[:,2:],a[:,:2].copy()
b[0,0]=b[1,1]; s=b[0,0]; b[0,0]=9.; b[2,2]=s
h=np.zeros((4,4)); h[1:]=a; b=h[:3]+b
h=np.zeros((3,4),np.float32); h[:]=a; b=b+h*1.0
cache['x']=a; b=cache['x']*b
L=[a]; L.append(b); b=L[0]*L[1]
np.put(b,[1,3],a[0,:2])
np.fill_diagonal(b,.3)
np.maximum(a,b,out=b)
b/=1+a*a
np.subtract.at(b,(0,1),a[0,0])
b=np.copy(b); b[1]=0
b[:]=np.sort(b,None).reshape(3,4)
x0=b[0].copy(); b[0]=b[1]; b[1]=x0
""".strip().splitlines()

DATA = np.random.default_rng(5).normal(size=(3, 4))


def program(rng):
    """The source of a function of x that calculates with two arrays, one of them data, and writes into both."""
    lines = ["def f(np, x):", " a, b, cache = x * 1.0, DATA + 0.0, {}"]
    for _ in range(rng.integers(2, 7)):
        kind = rng.random()
        if kind < 0.75:
            lines.append(f" {'a' if kind < 0.5 else 'b'} = {rng.choice(EXPRESSIONS)} + 0.0")
        else:
            lines.append(f" b = b.copy(); {rng.choice(STATEMENTS)}")
        if rng.random() < 0.15:
            lines.append(" a, b = b, a")
        if rng.random() < 0.1:
            lines.append(" if a[0, 0] > b[0, 1]: a = a * 2")
    return "\n".join([*lines, " return np.concatenate([a.ravel(), b.ravel()])"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("seed", range(40))
def test_recorded_bounded_and_differentiated(seed, dtype, engine):
    rng = np.random.default_rng(seed)
    names = {"DATA": DATA.astype(dtype)}
    source = program(rng)
    exec(source, names)
    x = rng.normal(size=(3, 4)).astype(dtype)
    with np.errstate(all="ignore"):
        wanted = names["f"](np, x.copy())
    made = engine.record(lambda x: names["f"](np, x), x.copy())
    assert np.array_equal(made.found.floats, wanted) and made.found.dtype == wanted.dtype, source
    with precision(200):
        exact = midpoints(engine.on_balls(made).stored(made.index)[0])
    with np.errstate(all="ignore"):
        bounds = replay(made.program, RoundedArithmetic(dtype)).numbers(made.index).bounds()
    assert (np.abs(wanted - exact) <= bounds + np.spacing(np.abs(exact))).all(), source
    if ties(engine.on_balls(made), made.program.guards):  # equal numbers are sorted: nothing would be proven
        assert "sort" in source or "argmax" in source, source
        return
    by_sweep, by_differences = engine.slopes(made)
    with precision(400):
        # At a tie of two numbers that came about otherwise the sweep encloses all that the slope may be.
        assert by_sweep.overlaps(by_differences) or abs(by_sweep - by_differences) < 2.0**-140 * (
            1 + abs(by_differences)
        ), source
