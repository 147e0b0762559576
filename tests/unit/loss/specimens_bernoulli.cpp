#include "make_specimen.hpp"

std::vector<limbeck_test::specimen> limbeck_test::bernoulli_specimens() {
  const auto make = [](std::string name, std::vector<double> parameters, auto loss, divergence phi) {
    return make_specimen(std::move(name), std::move(parameters), true, loss, ref_bernoulli(std::move(phi)), true, true,
                         false);
  };
  return {make("bernoulli_kl", {}, limbeck::bernoulli_kl{}, ref_forward_kl()),
          make("bernoulli_reverse_kl", {}, limbeck::bernoulli_reverse_kl{}, ref_reverse_kl()),
          make("bernoulli_jensen_shannon", {0.3}, limbeck::bernoulli{limbeck::jensen_shannon{.beta = 0.3}},
               ref_jensen_shannon(static_cast<real>(0.3)))};
}
