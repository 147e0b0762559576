// What a device does to the rows of a batch, by teams of several threads that are threads of the host here: the host's numbers.
// A step in which the threads of a team part ways ends the test.

#include "catch.hpp"
#include "make_batch.hpp"
#include "team_batch.hpp"

#include <limbeck/features.hpp>
#include <limbeck/relations.hpp>

#include <algorithm>
#include <string>

namespace limbeck_test {
namespace {

template <bool Block, class T, class Loss>
void compare_team(const Loss& loss, const char* name, std::size_t n, std::size_t s, std::size_t t, double digits) {
  CAPTURE(name, n, s, t, Block, sizeof(T));
  features<T> x(n, s, t, 7);
  for (std::size_t r = 0; r < n; ++r) x.labels.push_back(static_cast<int>(r * r % 4));
  if constexpr (requires { Loss::into_teacher; }) x.teach();
  const double expected = x.run(loss, 0.5);
  std::vector<T> gradient(x.gradient.size(), T(0)), of_teacher(x.teacher_gradient.size(), T(0));
  lk::workspace ws;
  lk::scratch memory(ws);
  const lk::serial one;
  const lk::dense_primitives<T, shared_rows<Block>> dense;
  const lk::batch<T, shared_rows<Block>> shared{
      x.s(), x.t(), lk::any_vector(x.labels.data(), n), lk::rows<T>(gradient.data(), n, s), T(0.5), 1, 1, memory, one, dense, {}, 0,
      lk::rows<T>(of_teacher.empty() ? nullptr : of_teacher.data(), n, t)};
  const number_at number = loss(shared);
  const double value = number.value();
  const double rounding = static_cast<double>(std::numeric_limits<T>::epsilon()) * digits;
  CHECK(std::fabs(value - expected) <= rounding * std::fabs(expected));
  const auto near_each = [&](const std::vector<T>& got, const std::vector<T>& wanted) {
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      worst = (std::max)(worst, std::fabs(static_cast<double>(got[i]) - static_cast<double>(wanted[i])));
      largest = (std::max)(largest, std::fabs(static_cast<double>(wanted[i])));
    }
    CHECK(worst <= rounding * largest);
  };
  near_each(gradient, x.gradient);
  near_each(of_teacher, x.teacher_gradient);
}

template <class T, class Loss>
void compare(const Loss& loss, const char* name, std::size_t n, std::size_t s, std::size_t t, double digits = 128) {
  compare_team<false, T>(loss, name, n, s, t, digits);
  compare_team<true, T>(loss, name, n, s, t, digits);
}

template <class T>
void compare_all() {
  compare<T>(lk::hint{}, "hint", 3, 50, 50);
  compare<T>(lk::feature_mse{}, "feature_mse", 2, 5, 5);
  compare<T>(lk::similarity_preserving{}, "similarity_preserving", 14, 9, 4);
  compare<T>(lk::activation_matching{}, "activation_matching", 9, 6, 30);
  compare<T>(lk::pkt{}, "pkt", 13, 8, 5);
  compare<T>(lk::linear_cka{}, "cka", 13, 8, 5);
  compare<T>(lk::correlation_congruence{}, "correlation_congruence", 11, 8, 5);
  compare<T>(lk::marginal_distance_matrix{.margin = 0.1}, "marginal_distance_matrix", 11, 8, 5);
  compare<T>(lk::info_nce{}, "info_nce", 27, 4, 4);
  compare<T>(lk::symmetric_info_nce{.temperature = 0.3}, "symmetric_info_nce", 7, 30, 30);
  compare<T>(lk::info_nce{.temperature = 0.3}.over(lk::other_classes{}), "info_nce over other classes", 13, 8, 8);
  compare<T>(lk::nt_xent{}, "nt_xent", 11, 9, 9);
  compare<T>(lk::supervised_contrast{.temperature = 0.5}, "supervised_contrast", 9, 6, 6);
  compare<T>(lk::margin_cosine{.margin = 0}, "margin_cosine", 9, 40, 40);
  compare<T>(lk::cosine_embedding{.margin = 0.1}, "cosine_embedding", 10, 7, 7);
  compare<T>(lk::cross_correlation{}, "cross_correlation", 21, 7, 7, 512);
  compare<T>(lk::self_correlation{}, "self_correlation", 13, 8, 5);
  compare<T>(lk::neighbour_kl{.k = 5, .temperature = 0.5}, "neighbour_kl", 13, 8, 5);
  compare<T>(lk::rkd_distance{}, "rkd_distance", 13, 8, 5, 512);
  compare<T>(lk::rkd_angle{}, "rkd_angle", 9, 8, 5, 512);
  compare<T>(lk::dist{.temperature = 2, .epsilon = 0.01}, "dist", 11, 29, 29, 512);
  compare<T>(lk::nst{.positions = 5}, "nst", 4, 15, 20);
  compare<T>(lk::attention_transfer{.student_channels = 2, .teacher_channels = 3}, "attention_transfer", 5, 40, 60);
  compare<T>(lk::attention_transfer{.student_channels = 2, .power = 1.5}, "attention_transfer, p 1.5", 5, 18, 9);
  compare<T>(lk::ickd{.channels = 5}, "ickd", 5, 35, 20);
  compare<T>(lk::fsp{.first_channels = 2, .second_channels = 3}, "fsp", 5, 35, 20);
  compare<T>(lk::factor_transfer{}, "factor_transfer", 4, 19, 19);
  compare<T>(lk::factor_transfer{.p = 2}, "factor_transfer, p 2", 4, 7, 7);
  compare<T>(lk::activation_boundaries{}, "activation_boundaries", 4, 19, 19);
  compare<T>(lk::pad_l2{}, "pad_l2", 4, 22, 11);
  compare<T>(lk::log_sum{}, "log_sum", 4, 19, 19);
  compare<T>(lk::channel_affinity{.channels = 3}, "channel_affinity", 5, 21, 21);
  compare<T>(lk::position_similarity{.student_channels = 2, .teacher_channels = 3}, "position_similarity", 5, 18, 27);
  const std::vector<int> spans{0, 0, 0, -1, -1, 2, 2, 3, 4, 4};
  compare<T>(lk::span_consistency(spans), "span_consistency", 10, 30, 30);
  compare<T>(lk::sskd{}, "sskd", 14, 9, 5, 512);
  compare<T>(lk::nearest_layers{.layers = 3, .k = 2}, "nearest_layers", 7, 11, 33);
  compare<T>(lk::sinkhorn{.iterations = 4}, "sinkhorn", 7, 13, 13, 2048);
  compare<T>(lk::out_of_domain_penalty{}, "out_of_domain_penalty", 5, 21, 21);
  compare<T>(lk::flops{}, "flops", 5, 21, 21);
  compare<T>(lk::hard_quantile{.p_hard = 0.8}, "hard_quantile", 6, 21, 21);
}

TEST_CASE("relations: teams of several threads have the numbers of one") {
  compare_all<float>();
  compare_all<double>();
}

TEST_CASE("relations: teams see rows at the same place, constant sides and rows of 0") {
  const auto check = [](const auto& loss, const char* name) {
    CAPTURE(name);
    features<double> x(6, 8, 8);
    for (std::size_t c = 0; c < 8; ++c) x.student[8 + c] = x.student[c], x.teacher[16 + c] = 0, x.student[24 + c] = 0;
    const double expected = x.run(loss);
    std::vector<double> gradient(x.gradient.size());
    lk::workspace ws;
    lk::scratch memory(ws);
    const lk::serial one;
    const lk::dense_primitives<double, shared_rows<true>> dense;
    const auto run = [&] {
      std::fill(gradient.begin(), gradient.end(), 0.0);
      const lk::batch<double, shared_rows<true>> shared{
          x.s(), x.t(), {}, lk::rows<double>(gradient.data(), 6, 8), 1, 1, 1, memory, one, dense};
      return loss(shared).value();
    };
    CHECK(run() == Approx(expected).margin(1e-14));
    for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(gradient[i] == Approx(x.gradient[i]).margin(1e-12));
    std::fill(x.student.begin(), x.student.end(), 1.0);
    const double constant = x.run(loss);
    CHECK(run() == Approx(constant).margin(1e-14));
    for (std::size_t i = 0; i < gradient.size(); ++i) CHECK(gradient[i] == Approx(x.gradient[i]).margin(1e-12));
  };
  check(lk::linear_cka{}, "cka");
  check(lk::rkd_distance{}, "rkd_distance");
  check(lk::rkd_angle{}, "rkd_angle");
  check(lk::similarity_preserving{}, "similarity_preserving");
  check(lk::pkt{}, "pkt");
  check(lk::dist{}, "dist");
}

}  // namespace
}  // namespace limbeck_test
