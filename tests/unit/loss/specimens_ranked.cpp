#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::ranked_specimens() {
  return {make_specimen("uld", {}, true, limbeck::uld{}, ref_uld(), false, true, false)};
}
