#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::other_specimens() {
  std::vector<specimen> list{
      make_specimen("total_variation", {}, true, limbeck::total_variation{}, over_classes(ref_total_variation())),
      make_specimen("squared_hellinger", {}, true, limbeck::squared_hellinger{},
                    over_classes(ref_squared_hellinger()))};
  for (const double a : {0.5, -1.0, 2.0, 0.9})
    list.push_back(make_specimen("alpha_divergence", {a}, true, limbeck::alpha_divergence{.alpha = a},
                                 over_classes(ref_alpha(a))));
  for (const auto& [a, b] : {std::pair{0.2, 0.7}, {0.9, 0.2}, {0.5, 0.0}, {1.0, 1.0}})
    list.push_back(make_specimen("alpha_beta", {a, b}, true, limbeck::alpha_beta{.alpha = a, .beta = b},
                                 over_classes(ref_alpha_beta(a, b))));
  return list;
}

std::vector<limbeck_test::specimen> limbeck_test::alpha_specimens() {
  std::vector<specimen> list;
  for (const double a : {0.0, 1e-4, 0.4, 0.6, 0.999, 1.0, 1.001, 3.0, -0.01})
    list.push_back(make_specimen("alpha_divergence", {a}, true, limbeck::alpha_divergence{.alpha = a},
                                 over_classes(ref_alpha(a))));
  for (const auto& [a, b] : {std::pair{0.0, 0.5}, {1.0, 0.0}, {0.0, 1.0}, {0.0, 0.0}, {0.5, -0.5}, {-0.5, 0.5}, {1.0, -0.3}, {-0.3, 1.0},
                             {0.3, -1.0}, {-2.0, 0.4}, {1e-4, 0.6}, {0.6, -1e-5}, {0.4, -0.4 + 1e-5}, {-0.2, -0.3}})
    list.push_back(make_specimen("alpha_beta", {a, b}, true, limbeck::alpha_beta{.alpha = a, .beta = b},
                                 over_classes(ref_alpha_beta(a, b))));
  return list;
}
