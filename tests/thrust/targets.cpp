// Targets of device memory: the rows that the host makes of the same numbers, by one thread a row and by several.
#include "catch.hpp"
#include "target_cases.hpp"
#include "target_teams.hpp"

using namespace limbeck_test;
namespace detail = limbeck::detail;

namespace {

const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{9, 2}, {8, 3}, {9, 21}, {8, 103}};

template <class T, class Kind, class Fill>
void check(const Kind& kind, const Fill& fill) {
  complaints found;
  for (const auto& [n, c] : shapes) {
    compare_targets<T>(found, kind, n, c, false, fill);
    compare_targets<T>(found, kind, n, c, true, fill);
  }
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
}

}  // namespace

TEST_CASE("device: ensembles make the host's rows", "[thrust][target]") {
  check<float>(ensembles{}, by_device);
}
TEST_CASE("device: transformed teachers make the host's rows", "[thrust][target]") {
  check<float>(transforms{}, by_device);
  check<double>(transforms{}, by_device);
}
TEST_CASE("device: ensembles by a team of threads a row", "[thrust][target]") { check<double>(ensembles{}, by_teams); }
TEST_CASE("device: transformed teachers by a team of threads a row", "[thrust][target]") {
  check<float>(transforms{}, by_teams);
}
TEST_CASE("device: predictions averaged over epochs", "[thrust][target]") {
  const std::size_t samples = 6, c = 21;
  lk::temporal_ensemble<float> host(samples, c);
  lk::device_temporal_ensemble<float> device(samples, c);
  lk::device_workspace ws;
  const std::vector<std::size_t> asked{5, 0, 1, 2};
  const auto asked_there = to_device(asked);
  for (std::uint32_t epoch = 0; epoch < 3; ++epoch) {
    const std::vector<std::size_t> ids{epoch, 4 - epoch / 2, 5};
    const auto b = random_batch<float>(3, c, epoch + 1, 3);
    host.update(ids, b.s());
    device.update(to_device(ids), lk::on_device(to_device(b.student).data(), 3, c), ws);
  }
  complaints found;
  std::vector<float> expected(4 * c), weights(4);
  lk::fill(host.target(asked, 2), lk::rows<float>(expected.data(), 4, c));
  thrust::device_vector<float> rows(4 * c), weights_there(4);
  lk::fill(device.target(asked_there, 2), lk::on_device(rows, 4, c), ws);
  compare_target_rows(found, "averages", expected, to_host(rows), c);
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
  host.row_weights(asked, weights);
  device.row_weights(asked_there, weights_there);
  CHECK(to_host(weights_there) == weights);
  CHECK(device.updates(5) == 3);

  auto bad = random_batch<float>(2, c, 9);
  bad.student[c + 3] = std::numeric_limits<float>::quiet_NaN();
  const auto update = [&](const std::vector<std::size_t>& ids) {
    return sentence([&] { device.update(to_device(ids), lk::on_device(to_device(bad.student).data(), 2, c), ws); });
  };
  CHECK(update({0, 1}) == sentence([&] { host.update(std::vector<std::size_t>{0, 1}, bad.s()); }));
  CHECK(update({0, 6}) == "limbeck: the sample id at position 1 is not in 0 to 5");
  CHECK(device.updates(0) == host.updates(0));
}
TEST_CASE("device: a target's rows where classes are no neighbours", "[thrust][target]") {
  const target_numbers<float> numbers(5, 21, 3);
  const device_side<float> side(numbers);
  const auto two = lk::mean_of_probabilities(side.a(), side.b());
  thrust::device_vector<float> columns(5 * 21);
  lk::fill(two, lk::samples_in_columns(lk::on_device(columns, 21, 5)), side.ws);
  const auto expected = side.filled(two, 0), got = to_host(columns);
  bool same = true;
  for (std::size_t i = 0; i < got.size(); ++i) same = same && got[i] == expected[i % 5 * 21 + i / 5];
  CHECK(same);
}
TEST_CASE("device: a list of teachers has a bound there", "[thrust][target]") {
  const target_numbers<float> numbers(5, 3, 3);
  const device_side<float> side(numbers);
  const std::vector many(17, side.a());
  CHECK_THROWS_WITH(side.filled(lk::mean_of_logits(many), 0),
                    Catch::Matchers::Contains("the ensemble has a list of 17 teachers, on a device at most 16"));
}
TEST_CASE("device: weights of rows from a softmax", "[thrust][target]") {
  auto b = random_batch<float>(5, 21, 3, 3);
  b.student[3] = -infinity<float>;
  device_batch<float> d(b);
  lk::device_workspace ws;
  std::vector<double> expected(5);
  thrust::device_vector<double> out(5);
  const auto compare = [&] {
    const auto got = to_host(out);
    for (std::size_t r = 0; r < 5; ++r) CHECK(near<float>(expected[r], got[r], 1, 16));
  };
  lk::wttm_row_weights(b.t(), 0.5, expected);
  lk::wttm_row_weights(d.t(), 0.5, out, ws);
  compare();
  lk::uskd_row_weights(b.s(), b.labels, expected);
  lk::uskd_row_weights(d.s(), d.labels, out, ws);
  compare();

  b.student[2 * 21] = std::numeric_limits<float>::quiet_NaN();
  b.labels[4] = 21;
  const auto same = [&] {
    const device_batch<float> bad(b);
    CHECK(sentence([&] { lk::uskd_row_weights(bad.s(), bad.labels, out, ws); }) ==
          sentence([&] { lk::uskd_row_weights(b.s(), b.labels, expected); }));
  };
  same();
  b.labels[1] = -7;
  same();
}
TEST_CASE("device: teachers and students of 16 bits", "[thrust][target]") {
  const std::size_t n = 4, c = 21;
  const auto b = random_batch<float>(n, c, 8, 3);
  std::vector<lk::bfloat16> s, t;
  for (const float x : b.student) s.emplace_back(x);
  for (const float x : b.teacher) t.emplace_back(x);
  const auto ds = to_device(s), dt = to_device(t);
  using view = lk::rows<const lk::bfloat16>;
  const view teacher(t.data(), n, c);
  std::vector<float> expected(n * c);
  thrust::device_vector<float> out(n * c);
  lk::device_workspace ws;
  lk::fill(lk::interpolated(lk::smoothed(teacher, 0.1), 0.4), lk::rows<float>(expected.data(), n, c), view(s.data(), n, c));
  const auto there = lk::interpolated(lk::smoothed(lk::on_device(dt, n, c), 0.1), 0.4);
  lk::fill(there, lk::on_device(out, n, c), lk::on_device(ds, n, c), ws);
  complaints found;
  compare_target_rows(found, "16 bits", expected, to_host(out), c);
  for (const auto& complaint : found) UNSCOPED_INFO(complaint);
  CHECK(found.empty());
}
