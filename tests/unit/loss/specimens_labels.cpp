#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::label_specimens() {
  std::vector<specimen> list;
  for (const double smoothing : {0.0, 0.1})
    list.push_back(make_specimen("cross_entropy", {smoothing}, false, limbeck::cross_entropy{.smoothing = smoothing},
                                 ref_cross_entropy(smoothing)));
  list.push_back(make_specimen("reverse_cross_entropy", {}, false, limbeck::reverse_cross_entropy{.log_zero = -6},
                               ref_reverse_cross_entropy(6)));
  list.push_back(make_specimen("soft_cross_entropy", {}, false, limbeck::soft_cross_entropy{},
                               over_classes(ref_soft_cross_entropy())));
  list.push_back(make_specimen("mse", {}, true, limbeck::mse{}, ref_mse(), true, true));
  return list;
}
