#ifndef LIMBECK_THRUST_HPP
#define LIMBECK_THRUST_HPP

/// @file
/// Limbeck over device memory: CUDA under nvcc (CUDA 12 or later, `--expt-relaxed-constexpr`), and with a C++ compiler
/// Thrust's CPP, OMP and TBB systems (1.17 or later, `-DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP`, `_OMP`
/// or `_TBB`).

#include <limbeck/version.hpp>
#if !LIMBECK_DETAIL_EXCEPTIONS
#error "limbeck: Thrust reports its errors by exceptions; compile this file without -fno-exceptions"
#endif

#include <limbeck/backend/thrust/averaging.hpp>
#include <limbeck/backend/thrust/fill.hpp>
#include <limbeck/backend/thrust/head.hpp>
#include <limbeck/backend/thrust/inside.hpp>
#include <limbeck/backend/thrust/past.hpp>
#include <limbeck/backend/thrust/row_weights.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/backend/thrust/run_time.hpp>
#include <limbeck/backend/thrust/selection.hpp>
#include <limbeck/backend/thrust/sparse.hpp>
#include <limbeck/backend/thrust/sweep.hpp>
#include <limbeck/backend/thrust/workspace.hpp>
#include <limbeck/limbeck.hpp>

#endif
