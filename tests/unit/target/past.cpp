// The student's own past: averages over epochs, snapshots; saving and resuming.

#include <limbeck/target/ensemble.hpp>
#include <limbeck/target/past.hpp>

#include "cases.hpp"

using namespace limbeck_test;
using Catch::Matchers::Contains;

namespace {

/// Saves or loads vectors, spans and numbers.
struct archive {
  std::vector<std::vector<double>> values;
  bool loading = false;
  std::size_t at = 0;
  template <class X>
  void operator()(const char*, X& x) {
    if constexpr (requires { x.begin(); }) {
      if (!loading) return values.emplace_back(x.begin(), x.end()), void();
      if constexpr (requires { x.resize(1); }) x.resize(values.at(at).size());
      std::transform(values.at(at).begin(), values.at(at).end(), x.begin(),
                     [](double v) { return static_cast<std::remove_reference_t<decltype(*x.begin())>>(v); });
      ++at;
    } else if (loading) {
      x = static_cast<X>(values.at(at++).at(0));
    } else {
      values.push_back({static_cast<double>(x)});
    }
  }
};

}  // namespace

TEMPLATE_TEST_CASE("predictions averaged over epochs", "[target][past]", float, double) {
  using T = TestType;
  lk::temporal_ensemble<T> ensemble(5, 7, 0.6);
  std::vector<std::vector<real>> sums(5, std::vector<real>(7, 0));
  std::vector<int> updates(5, 0);
  for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
    const std::vector<std::size_t> ids = epoch % 2 ? std::vector<std::size_t>{4, 1} : std::vector<std::size_t>{0, 1, 2};
    const matrix<T> logits(ids.size(), 7, epoch, 3);
    ensemble.update(ids, logits.in());
    for (std::size_t r = 0; r < ids.size(); ++r) {
      const auto p = softmax(logits.row(r), 7);
      for (std::size_t c = 0; c < 7; ++c) sums[ids[r]][c] = 0.6L * sums[ids[r]][c] + 0.4L * p[c];
      ++updates[ids[r]];
    }
  }
  const std::vector<std::size_t> batch{1, 3, 4, 0};
  for (const double t : {1.0, 4.0}) {
    const auto m = filled(ensemble.target(batch, t));
    for (std::size_t r = 0; r < 4; ++r) {
      const std::size_t id = batch[r];
      CHECK(ensemble.updates(id) == static_cast<std::size_t>(updates[id]));
      std::vector<real> p(7, 1.0L / 7);
      if (updates[id])
        for (std::size_t c = 0; c < 7; ++c) {
          p[c] = sums[id][c] / (1 - std::pow(0.6L, static_cast<real>(updates[id])));
          CHECK(ensemble.probability(id, c) == Approx(static_cast<double>(p[c])).epsilon(1e-5));
        }
      same_distribution(m.row(r), p, t);
    }
  }
  std::vector<float> weights(4);
  ensemble.row_weights(batch, weights);
  CHECK(weights == std::vector<float>{1, 0, 1, 1});

  archive file;
  ensemble.serialize(file);
  file.loading = true;
  lk::temporal_ensemble<T> other(5, 7, 0.6);
  other.serialize(file);
  CHECK(filled(other.target(batch)).data == filled(ensemble.target(batch)).data);
  CHECK(other.updates(1) == 4);

  matrix<T> bad(2, 7, 1, 1);
  bad.row(1)[0] = std::numeric_limits<T>::quiet_NaN();
  const auto before = filled(ensemble.target(batch)).data;
  CHECK_THROWS_WITH(ensemble.update(std::vector<std::size_t>{0, 1}, bad.in()), Contains("logits row 1 has no softmax"));
  CHECK_THROWS_WITH(ensemble.update(std::vector<std::size_t>{0, 5}, bad.in()), Contains("sample id 5 at position 1"));
  CHECK(filled(ensemble.target(batch)).data == before);
  CHECK_THROWS_WITH((lk::temporal_ensemble<T>(1, 2, 1.0)), Contains("decay is 1, expected a number in [0, 1)"));
}

TEST_CASE("snapshots", "[target][past]") {
  lk::snapshots<float> ring(3);
  CHECK(ring.size() == 0);
  CHECK_THROWS_WITH(ring[0], Contains("snapshot 0 is asked for, 0 are kept"));
  std::vector<matrix<float>> past;
  for (std::uint64_t k = 0; k < 5; ++k) {
    past.emplace_back(2, 6, k, 3);
    ring.take(past.back().in());
  }
  CHECK(ring.size() == 3);
  CHECK(ring.taken() == 5);
  for (std::size_t age = 0; age < 3; ++age)
    CHECK(std::equal(past[4 - age].data.begin(), past[4 - age].data.end(), ring[age].data));
  CHECK(filled(lk::mean_of_probabilities(ring.all())).data ==
        filled(lk::mean_of_probabilities(past[4].in(), past[3].in(), past[2].in())).data);
  CHECK_THROWS_WITH(ring.take(matrix<float>(2, 5).in()), Contains("the state has shape 2 x 5, expected 2 x 6"));

  archive file;
  ring.serialize(file);
  lk::snapshots<float> other(3), smaller(2);
  file.loading = true;
  other.serialize(file);
  ring.take(past[0].in());
  other.take(past[0].in());
  for (std::size_t age = 0; age < 3; ++age) CHECK(std::equal(ring[age].data, ring[age].data + 12, other[age].data));
  file.at = 0;
  CHECK_THROWS_WITH(smaller.serialize(file), Contains("the restored snapshots hold 36 numbers, expected 2 x 2 x 6"));
  CHECK(smaller.taken() == 0);  // as it was
  CHECK(smaller.all().empty());
  for (const double huge : {4294967296.0, 9223372036854775808.0}) {  // their product overflows to 0, or nearly
    archive hostile{{{1}, {huge}, {huge}, {}}, true};
    CHECK_THROWS_WITH(smaller.serialize(hostile), Contains("hold 0 numbers, expected 2 x "));
    CHECK(smaller.all().empty());
  }
  CHECK_THROWS_AS(lk::snapshots<float>(0), lk::value_error);
  constexpr std::size_t huge = std::size_t{1} << 62U;  // times 12 elements it is 0
  lk::snapshots<float> endless(huge);
  CHECK_THROWS_WITH(endless.take(past[0].in()), Contains("snapshots of shape [4611686018427387904, 2, 6], which no"));
  CHECK(endless.taken() == 0);
  CHECK_THROWS_WITH((lk::temporal_ensemble<float>(huge, 4)), Contains("a temporal ensemble of shape [46"));
}
