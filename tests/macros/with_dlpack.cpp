#include "before.hpp"

#include <dlpack/dlpack.h>

#include "traps.hpp"

#include <limbeck/dlpack.hpp>
