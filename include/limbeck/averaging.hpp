#ifndef LIMBECK_AVERAGING_HPP
#define LIMBECK_AVERAGING_HPP

/// @file
/// Parameters that follow parameters. Needs no tensor library.

#include <limbeck/averaging/averaging.hpp>

#endif
