#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::kl_specimens() {
  return {make_specimen("forward_kl", {}, true, limbeck::forward_kl{}, over_classes(ref_forward_kl())),
          make_specimen("reverse_kl", {}, true, limbeck::reverse_kl{}, over_classes(ref_reverse_kl()))};
}
