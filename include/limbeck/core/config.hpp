#ifndef LIMBECK_CORE_CONFIG_HPP
#define LIMBECK_CORE_CONFIG_HPP

/// @file
/// What every other header includes first: the versioned namespace, a few attribute macros, and the
/// one compiler mode that Limbeck refuses.

#include <limbeck/version.hpp>

// A masked class is a logit of -inf, bad input is found because NaN survives, and the values are right to
// the last digits because (a - b) - c is computed in that order. -ffast-math takes away all three, silently.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__)
#error "limbeck: -ffast-math removes infinities, NaNs and the order of operations that the losses need; compile this file with -fno-fast-math (-O3 -march=native is fast without it)"
#endif

#if defined(__CUDACC__)
#define LIMBECK_HOST_DEVICE __host__ __device__
#else
/// Marks a function that also runs in a CUDA kernel.
#define LIMBECK_HOST_DEVICE
#endif

#if defined(__CUDACC__)
#define LIMBECK_CALLS_ANY _Pragma("nv_exec_check_disable")
#else
/// Before a template of host and device that calls what it is given, which may be the host's alone.
#define LIMBECK_CALLS_ANY
#endif

#if defined(__CUDACC__)
#define LIMBECK_OF_COMPILER [[gnu::abi_tag("nvcc")]]
#else
/// Keeps what nvcc makes of a call on the host apart from what a C++ compiler makes of it, in one program.
#define LIMBECK_OF_COMPILER
#endif

// Unoptimised and without dispatch nothing is inlined by force: such a build is for looking at, and takes half as long to compile.
#if defined(LIMBECK_NO_DISPATCH) && defined(__NO_INLINE__) && !defined(__CUDACC__)
#define LIMBECK_DETAIL_BY_FORCE 0
#else
/// Whether inner loops are inlined whatever the compiler thinks of it.
#define LIMBECK_DETAIL_BY_FORCE 1
#endif

#if defined(__CUDACC__) || !LIMBECK_DETAIL_BY_FORCE
#define LIMBECK_LAMBDA_INLINE
#elif defined(__GNUC__) || defined(__clang__)
/// LIMBECK_INLINE for a lambda, between its parameters and its body.
#define LIMBECK_LAMBDA_INLINE __attribute__((always_inline))
#else
#define LIMBECK_LAMBDA_INLINE
#endif

#if LIMBECK_DETAIL_BY_FORCE
/// All that a function calls is inlined into it.
#define LIMBECK_FLATTEN [[gnu::flatten]]
#else
#define LIMBECK_FLATTEN
#endif

#if (defined(__GNUC__) || defined(__clang__)) && LIMBECK_DETAIL_BY_FORCE
/// The functions of a row's inner loop: always inlined, at -O2 too, on the host and on the device.
#define LIMBECK_INLINE LIMBECK_HOST_DEVICE [[gnu::always_inline]] inline
/// The same of what only the host runs.
#define LIMBECK_HOST_INLINE [[gnu::always_inline]] inline
#else
#define LIMBECK_HOST_INLINE inline
#define LIMBECK_INLINE LIMBECK_HOST_DEVICE inline
#endif

#endif
