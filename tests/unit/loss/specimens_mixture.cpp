#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::mixture_specimens() {
  std::vector<specimen> list;
  for (const double w : {0.5, 0.1, 0.9}) {
    list.push_back(make_specimen("jensen_shannon", {w}, true, limbeck::jensen_shannon{.beta = w},
                                 over_classes(ref_jensen_shannon(w))));
    list.push_back(make_specimen("skew_kl", {w}, true, limbeck::skew_kl{.alpha = w}, over_classes(ref_skew_kl(w))));
    list.push_back(make_specimen("skew_reverse_kl", {w}, true, limbeck::skew_reverse_kl{.alpha = w},
                                 over_classes(ref_skew_reverse_kl(w))));
  }
  return list;
}
