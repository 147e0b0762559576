#!/usr/bin/env python3
"""Prints the polynomials of include/limbeck/engine/math.hpp and their largest relative errors.

Chebyshev interpolation in 60 digits, which is near-minimax for functions as smooth as these.
Needs mpmath (Debian: python3-mpmath).
"""
from mpmath import atanh, chebyfit, expm1, log1p, mp, mpf, nstr, polyval, power, sqrt

mp.dps = 60


def exp2(x):
    return power(2, x)


def exp_excess_ratio(r):  # (expm1(-r) + r) / r^2
    return (expm1(-r) + r) / r**2 if abs(r) > mpf("1e-12") else mpf(1) / 2 - r / 6


def log1p_excess_ratio(f):  # (f - log1p(f)) / f^2
    return (f - log1p(f)) / f**2 if abs(f) > mpf("1e-12") else mpf(1) / 2 - f / 3


def atanh_tail(z):  # (atanh(s)/s - 1) / z, z = s^2
    if z < mpf("1e-20"):
        return mpf(1) / 3
    s = sqrt(z)
    return (atanh(s) / s - 1) / z


def show(name, f, low, high, degree):
    coefficients, _ = chebyfit(f, [low, high], degree + 1, error=True)
    points = [low + (high - low) * mpf(i) / 2000 for i in range(2001)]
    error = max(abs(polyval(coefficients, x) / f(x) - 1) for x in points)
    print(f"{name}: degree {degree}, relative error {nstr(error, 3)}")
    print("  " + ", ".join(nstr(c, 18) for c in reversed(coefficients)))


half = mpf(1) / 2
low, high = sqrt(half) - 1, sqrt(mpf(2)) - 1
show("exp2_negative, float", exp2, -half, half, 6)
show("exp2_negative, double", exp2, -half, half, 11)
show("exp_excess_ratio, float", exp_excess_ratio, -half, half, 5)
show("exp_excess_ratio, double", exp_excess_ratio, -half, half, 11)
show("log1p_excess_core, float", log1p_excess_ratio, low, high, 8)
show("log1p_excess_core, double: atanh(s)/s", atanh_tail, mpf(0), (high / (2 + high)) ** 2, 7)
