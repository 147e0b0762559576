// Two towers through an objective: both gradients, rows that do not count, groups, and a projection.

#include "catch.hpp"
#include "make_batch.hpp"

#include <limbeck/features.hpp>
#include <limbeck/map/views.hpp>
#include <limbeck/relations.hpp>

namespace {

namespace lk = limbeck;
using limbeck_test::features;

constexpr std::size_t samples = 8, width = 5;

/// Both gradients of the rows that @p count says, by an objective.
template <class Loss>
double run(const Loss& loss, features<double>& x, const std::vector<unsigned char>& count) {
  x.teach();
  const lk::rows<double> g(x.gradient.data(), x.samples, x.columns), h(x.teacher_gradient.data(), x.samples, x.teacher_columns);
  return lk::objective{loss}(x.s(), x.t(), x.labels, lk::unread_is_fine, lk::row_mask(count), lk::into(g), lk::into_teacher(h));
}
features<double> a_batch(std::size_t teacher_width = width) {
  features<double> x(samples, width, teacher_width, 3);
  x.labels = {0, 1, 0, 2, 1, 0, 3, 2};
  return x;
}
template <class T>
std::vector<T> without(const std::vector<T>& x, std::size_t row) {
  std::vector<T> rest = x;
  const std::size_t each = x.size() / samples;
  rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(row * each), rest.begin() + static_cast<std::ptrdiff_t>((row + 1) * each));
  return rest;
}

TEST_CASE("towers: rows that do not count are in neither tower, and a mask of pairs is of the rows of the call") {
  std::vector<unsigned char> roles(samples * samples), fewer;
  for (std::size_t i = 0; i < roles.size(); ++i) roles[i] = static_cast<unsigned char>((i * 7 + i / 5) % 3);
  for (std::size_t i = 0; i < samples; ++i)
    for (std::size_t j = 0; j < samples; ++j)
      if (i != 2 && j != 2) fewer.push_back(roles[i * samples + j]);
  std::vector<unsigned char> count(samples, 1);
  count[2] = 0;
  const auto check = [&](const auto& loss, const auto& loss_of_rest) {
    features<double> x = a_batch(), rest(samples - 1, width, width);
    rest.student = without(x.student, 2), rest.teacher = without(x.teacher, 2), rest.labels = without(x.labels, 2);
    rest.teach();
    CHECK(run(loss, x, count) == Approx(rest.run(loss_of_rest)).epsilon(1e-14));
    for (std::size_t c = 0; c < width; ++c) CHECK((x.gradient[2 * width + c] == 0 && x.teacher_gradient[2 * width + c] == 0));
    const std::vector<double> g = without(x.gradient, 2), h = without(x.teacher_gradient, 2);
    for (std::size_t i = 0; i < g.size(); ++i) {
      CHECK(g[i] == Approx(rest.gradient[i]).margin(1e-15));
      CHECK(h[i] == Approx(rest.teacher_gradient[i]).margin(1e-15));
    }
  };
  check(lk::info_nce{}.over(lk::pair_mask{{roles.data(), samples, samples}}),
        lk::info_nce{}.over(lk::pair_mask{{fewer.data(), samples - 1, samples - 1}}));
  check(lk::supervised_contrast{}, lk::supervised_contrast{});
  check(lk::linear_cka{}, lk::linear_cka{});
}

TEST_CASE("towers: a sum of losses, in groups, behind a projection") {
  lk::projection<double> p(width, 4, lk::he{.seed = 2});
  const auto loss = lk::projected(p, lk::symmetric_info_nce{.temperature = 0.5}) + 0.5 * lk::self_correlation{} +
                    2 * lk::grouped(4, lk::neighbour_kl{.k = 2});
  features<double> x = a_batch(4);
  const std::vector<unsigned char> all(samples, 1);
  run(loss, x, all);
  const auto value = [&] { return lk::objective{loss}.value(x.s(), x.t()); };
  const auto check = [&](std::vector<double>& numbers, const std::vector<double>& gradient) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double kept = numbers[i], h = 1e-6;
      numbers[i] = kept + h;
      const double above = value();
      numbers[i] = kept - h;
      CHECK(gradient[i] == Approx((above - value()) / (2 * h)).margin(1e-8));
      numbers[i] = kept;
    }
  };
  check(x.student, x.gradient);
  check(x.teacher, x.teacher_gradient);
}

}  // namespace
