#ifndef LIMBECK_TESTS_ODR_ALL_HPP
#define LIMBECK_TESTS_ODR_ALL_HPP

#include <limbeck/limbeck.hpp>
#include <limbeck/ranks.hpp>
#if LIMBECK_TEST_EIGEN
#include <limbeck/eigen.hpp>
#endif
#if LIMBECK_TEST_XTENSOR
#include <limbeck/xtensor.hpp>
#endif
#if LIMBECK_TEST_THRUST
#include <limbeck/thrust.hpp>
#endif
#if LIMBECK_TEST_TRAINER
#include <limbeck/trainer.hpp>
#endif
#if LIMBECK_TEST_MPI
#include <limbeck/mpi.hpp>
#endif

#endif
