#include "before.hpp"

#include <Eigen/Dense>

#include "traps.hpp"

#include <limbeck/eigen.hpp>
