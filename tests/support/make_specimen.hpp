#ifndef LIMBECK_TESTS_SUPPORT_MAKE_SPECIMEN_HPP
#define LIMBECK_TESTS_SUPPORT_MAKE_SPECIMEN_HPP

#include "specimens.hpp"

#include <limbeck/limbeck.hpp>

namespace limbeck_test {

template <class T, class Objective>
outcome<T> run_objective(const Objective& objective, const batch<T>& b, limbeck::workspace& ws) {
  outcome<T> out{0, std::vector<T>(b.samples), std::vector<T>(b.size(), T(77))};
  const limbeck::rows<T> gradient{out.gradient.data(), b.samples, b.classes};
  out.loss =
      objective(b.s(), b.t(), b.labels, limbeck::unread_is_fine, limbeck::into(gradient), limbeck::row_losses(out.values), limbeck::sum, ws)
          .loss;
  return out;
}

/// A loss that takes the temperature of its surroundings.
template <class Loss>
specimen make_specimen(std::string name, std::vector<double> parameters, bool zero_at_agreement, Loss loss,
                       reference_loss reference, bool shifts_count = false, bool takes_one_class = false,
                       bool bounded = true) {
  const auto run = [loss]<class T>(const batch<T>& b, double t) {
    limbeck::workspace ws;
    return run_objective(limbeck::objective{limbeck::at_temperature(t, limbeck::unscaled(loss))}, b, ws);
  };
  return {std::move(name),
          std::move(parameters),
          zero_at_agreement,
          false,
          [run](const batch<float>& b, double t) { return run(b, t); },
          [run](const batch<double>& b, double t) { return run(b, t); },
          std::move(reference),
          shifts_count,
          takes_one_class,
          bounded,
          limbeck::detail::reads_features<Loss>};
}

}  // namespace limbeck_test

#endif
