// Labels of the next token, by the memory of the tokens.

#include "batch.hpp"
#include "catch.hpp"

#include <limbeck/limbeck.hpp>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// What a loop would write.
std::vector<int> shifted(const std::vector<int>& tokens, std::size_t time, int ignored = -100) {
  std::vector<int> labels;
  for (std::size_t i = 0; i < tokens.size(); ++i) labels.push_back(i % time == time - 1 ? ignored : tokens[i + 1]);
  return labels;
}
const auto objective = 0.3 * lk::cross_entropy{} + lk::at_temperature(2.0, lk::forward_kl{}) + lk::dkd{};

struct result {
  lk::evaluation all;
  std::vector<double> gradient, rows;
};
template <class Labels, class... Args>
result run(const batch<double>& b, const Labels& labels, const Args&... args) {
  result r{{}, std::vector<double>(b.size()), std::vector<double>(b.samples)};
  r.all = objective(b.s(), b.t(), labels, lk::into(lk::rows<double>(r.gradient.data(), b.samples, b.classes)),
                    lk::row_losses(r.rows), args...);
  return r;
}
void check_same(const result& a, const result& b) {
  CHECK(same_bits(a.all.loss, b.all.loss));
  CHECK(a.all.rows == b.all.rows);
  CHECK(same_bits(a.gradient, b.gradient));
  CHECK(same_bits(a.rows, b.rows));
}

}  // namespace

TEST_CASE("next_tokens: row t has the label of t + 1, and the last of a sequence counts nowhere") {
  auto b = random_batch<double>(24, 19);
  b.labels[5] = -100;  // a token that is not to be predicted: row 4 is out
  for (const std::size_t time : {1u, 2u, 6u, 8u, 24u}) {
    const auto expected = shifted(b.labels, time);
    check_same(run(b, lk::next_tokens(b.labels, time)), run(b, expected));
  }
  const auto all = run(b, lk::next_tokens(b.labels, 6));
  CHECK(all.all.rows == 24 - 4 - 1);
  CHECK(all.rows[4] == 0);
  CHECK(all.rows[5] == 0);
  CHECK(all.rows[23] == 0);
  CHECK(all.rows[0] != 0);
  // weights, masks, another ignore_index, rows without a label
  std::vector<double> weights(24, 2);
  weights[7] = 0;
  check_same(run(b, lk::next_tokens(b.labels, 6), lk::row_weights(weights)),
             run(b, shifted(b.labels, 6), lk::row_weights(weights)));
  auto other = b;
  other.labels[5] = 3;
  check_same(run(other, lk::next_tokens(other.labels, 6), lk::ignore_index(3)),
             run(other, shifted(other.labels, 6, 3), lk::ignore_index(3)));
  const auto without = run(b, lk::next_tokens(b.labels, 6), lk::unlabelled(-100));  // row 4 is in, the ends are not
  CHECK(without.all.rows == 24 - 4);
  CHECK(without.rows[4] != 0);
  CHECK(without.rows[5] == 0);
}

TEST_CASE("next_tokens: any whole numbers, strided and of a type known at run time") {
  const auto b = random_batch<double>(12, 7);
  const auto expected = run(b, shifted(b.labels, 4));
  const std::vector<std::uint8_t> small(b.labels.begin(), b.labels.end());
  check_same(run(b, lk::next_tokens(small, 4)), expected);
  const std::vector<std::int64_t> large(b.labels.begin(), b.labels.end());
  check_same(run(b, lk::next_tokens(std::span(large), 4)), expected);
  const std::ptrdiff_t shape[] = {3, 4};
  const lk::any_tensor tokens(large.data(), lk::element_type::int64, shape);
  check_same(run(b, lk::next_tokens(tokens, 4)), expected);
  const std::ptrdiff_t cube[] = {3, 4, 7};
  const lk::any_tensor s(b.student.data(), lk::element_type::float64, cube),
      t(b.teacher.data(), lk::element_type::float64, cube);
  CHECK(same_bits(objective.value(s, t, lk::next_tokens(tokens, 4)), expected.all.loss));
  CHECK_THROWS_WITH(lk::next_tokens(tokens, 3),
                    "limbeck: labels is int64 [3, 4], expected sequences of 3 in the last dimension");
  CHECK_THROWS_WITH(lk::next_tokens(s, 7), Catch::Contains("expected whole numbers"));
}

TEST_CASE("next_tokens: labels that are none are named by their row") {
  auto b = random_batch<double>(6, 7);
  CHECK_THROWS_WITH(lk::next_tokens(b.labels, 4), "limbeck: next_tokens of 6 labels in sequences of 4");
  CHECK_THROWS_AS(lk::next_tokens(b.labels, 0), lk::shape_error);
  b.labels[3] = 9;  // the first of its sequence is nobody's label
  CHECK_NOTHROW(run(b, lk::next_tokens(b.labels, 3)));
  b.labels[4] = 9;
  CHECK_THROWS_WITH(run(b, lk::next_tokens(b.labels, 3)), Catch::Contains("labels is 9 at row 3"));
}
