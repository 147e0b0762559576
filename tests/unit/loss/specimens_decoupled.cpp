#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::decoupled_specimens() {
  std::vector<specimen> list;
  for (const auto& [alpha, beta] : {std::pair{1.0, 8.0}, std::pair{0.5, 2.0}, std::pair{1.0, 0.0}})
    list.push_back(
        make_specimen("dkd", {alpha, beta}, true, limbeck::dkd{.alpha = alpha, .beta = beta}, ref_dkd(alpha, beta)));
  for (const double gamma : {1.5, 0.5})
    list.push_back(make_specimen("ofa", {gamma}, false, limbeck::ofa{.gamma = gamma}, ref_ofa(gamma), false, false,
                                 false));  // a difference of cross-entropies, which may be much smaller than they
  for (const auto& [gamma, t] : {std::pair{1.5, 1.0}, std::pair{1.5, 4.0}, std::pair{0.75, 0.5}}) {
    const auto run = [nkd = limbeck::nkd{.gamma = gamma, .temperature = t}]<class T>(const batch<T>& b, double) {
      limbeck::workspace ws;
      return run_objective(limbeck::objective{nkd}, b, ws);
    };
    list.push_back({"nkd",
                    {gamma, t},
                    false,
                    true,
                    [run](const batch<float>& b, double x) { return run(b, x); },
                    [run](const batch<double>& b, double x) { return run(b, x); },
                    ref_nkd(gamma, t)});
  }
  return list;
}
