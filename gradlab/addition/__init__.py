"""Learning to add: the seeds' task.

data      pairs, sums, bits, carries; an addition as a `gradlab.problem.Problem`
run       a training run: settings, step, weights, learning curve
train     online training on the hand-written gradient; stopped anywhere, it goes on to the same bits
run_file  a run on disk
adder     what a trained network answers
carry     where it keeps the carry bit
"""
