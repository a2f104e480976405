# ruff: noqa: C408, RET504  (written as such code is written)
"""Adding two binary numbers with a recurrent sigmoid network, in the style of a script."""

import copy

import numpy as np

np_random = np.random.RandomState(0)


def sigmoid(x):
    output = 1 / (1 + np.exp(-x))
    return output


def sigmoid_output_to_derivative(output):
    return output * (1 - output)


binary_dim = 6
a = np.array([0, 1, 1, 0, 1, 0])
b = np.array([0, 0, 1, 1, 1, 1])
c = np.array([1, 0, 1, 0, 0, 1])
input_dim, hidden_dim, output_dim = 2, 4, 1
synapse_0 = 2 * np_random.random_sample((input_dim, hidden_dim)) - 1
synapse_1 = 2 * np_random.random_sample((hidden_dim, output_dim)) - 1
synapse_h = 2 * np_random.random_sample((hidden_dim, hidden_dim)) - 1
params = (synapse_0, synapse_1, synapse_h)


def loss(p):
    synapse_0, synapse_1, synapse_h = p
    layer_1 = np.zeros(hidden_dim)
    overall_error = 0
    for position in range(binary_dim):
        X = np.array([[a[binary_dim - position - 1], b[binary_dim - position - 1]]])
        y = np.array([[c[binary_dim - position - 1]]]).T
        layer_1 = sigmoid(np.dot(X, synapse_0) + np.dot(layer_1, synapse_h))
        layer_2 = sigmoid(np.dot(layer_1, synapse_1))
        overall_error += 0.5 * np.sum((y - layer_2) ** 2)
    return overall_error


def grad(p):
    synapse_0, synapse_1, synapse_h = p
    synapse_0_update = np.zeros_like(synapse_0)
    synapse_1_update = np.zeros_like(synapse_1)
    synapse_h_update = np.zeros_like(synapse_h)
    layer_2_deltas = list()
    layer_1_values = list()
    layer_1_values.append(np.zeros((1, hidden_dim)))
    for position in range(binary_dim):
        X = np.array([[a[binary_dim - position - 1], b[binary_dim - position - 1]]])
        y = np.array([[c[binary_dim - position - 1]]]).T
        layer_1 = sigmoid(np.dot(X, synapse_0) + np.dot(layer_1_values[-1], synapse_h))
        layer_2 = sigmoid(np.dot(layer_1, synapse_1))
        layer_2_error = y - layer_2
        layer_2_deltas.append((layer_2_error) * sigmoid_output_to_derivative(layer_2))
        layer_1_values.append(copy.deepcopy(layer_1))
    future_layer_1_delta = np.zeros((1, hidden_dim))
    for position in range(binary_dim):
        X = np.array([[a[position], b[position]]])
        layer_1 = layer_1_values[-position - 1]
        prev_layer_1 = layer_1_values[-position - 2]
        layer_2_delta = layer_2_deltas[-position - 1]
        layer_1_delta = (
            future_layer_1_delta.dot(synapse_h.T) + layer_2_delta.dot(synapse_1.T)
        ) * sigmoid_output_to_derivative(layer_1)
        synapse_1_update += np.atleast_2d(layer_1).T.dot(layer_2_delta)
        synapse_h_update += np.atleast_2d(prev_layer_1).T.dot(layer_1_delta)
        synapse_0_update += X.T.dot(layer_1_delta)
        future_layer_1_delta = layer_1_delta
    return -synapse_0_update, -synapse_1_update, -synapse_h_update
