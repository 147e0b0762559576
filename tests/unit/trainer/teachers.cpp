// Each kind of teacher is asked, and what a batch holds goes to the objective.
#include "toy.hpp"

#include "catch.hpp"

#include <limbeck/trainer/trainer.hpp>

#include <numeric>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Message;

const auto distil = 0.3 * lk::cross_entropy{} + 0.7 * lk::at_temperature(lk::linear(4, 1), lk::forward_kl{});

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d = std::max(d, std::abs(a[i] - b[i]));
  return d;
}

TEST_CASE("teachers: forward, call with inputs, call with the batch, rows of a cache", "[trainer]") {
  toy::clouds data(40);
  toy::linear net(9), again(9);
  std::vector<std::size_t> all(40);
  std::iota(all.begin(), all.end(), std::size_t{0});
  const auto logits = again.forward(data.batch_of(all).inputs);
  const std::vector<double> stored(logits.data, logits.data + 40 * toy::classes);
  const auto train = [&](auto&& teacher, auto& source) {
    toy::linear student(3);
    lk::trainer{student, teacher, distil, toy::sgd{}}.fit(source,
                                                          {.epochs = 2, .batch = 7, .micro_batch = 3, .seed = 5});
    return student.weights();
  };
  const auto expected = train(net, data);
  CHECK(expected == train([&](const std::vector<double>& x) { return net.forward(x); }, data));
  CHECK(expected == train([&](const toy::drawn& b) { return net.forward(b.inputs); }, data));
  const lk::rows<const double> cache(stored.data(), 40, toy::classes);
  CHECK(expected == train(lk::cached_teacher(cache), data));

  std::vector<std::size_t> some{31, 2, 17, 5, 6, 9, 33};
  lk::subset part(data, some);
  lk::subset inner(part, {6, 0, 3});
  CHECK(inner.source_rows(std::vector<std::size_t>{0, 1, 2}) == std::vector<std::size_t>{33, 31, 5});
  CHECK(train(net, inner) == train(lk::cached_teacher(cache), inner));
  CHECK_THROWS_MATCHES(lk::subset(part, {0, 7}), lk::value_error,
                       Message("limbeck: subset names row 7 at position 1, the data has 7 rows"));
  const lk::rows<const double> few(stored.data(), 30, toy::classes);
  CHECK_THROWS_MATCHES(train(lk::cached_teacher(few), part), lk::value_error,
                       Message("limbeck: the cached teacher is asked for row 31, it has 30 rows") ||
                           Message("limbeck: the cached teacher is asked for row 33, it has 30 rows"));
}

TEST_CASE("a teacher of another vocabulary, beside the labels", "[trainer]") {
  toy::clouds data(40);
  toy::linear net(9);
  std::vector<double> wider;
  const auto padded = [&](const std::vector<double>& x) {  // two classes that it never names
    const auto narrow = net.forward(x);
    wider.assign(narrow.samples * 5, -std::numeric_limits<double>::infinity());
    for (std::size_t r = 0; r < narrow.samples; ++r)
      for (std::size_t c = 0; c < toy::classes; ++c) wider[r * 5 + c + 2] = narrow(r, c);
    return lk::rows<const double>(wider.data(), narrow.samples, 5);
  };
  const auto train = [&](auto&& teacher) {
    toy::linear student(3);
    lk::trainer{student, teacher, lk::cross_entropy{} + 0.5 * lk::at_temperature(2.0, lk::uld{}), toy::sgd{}}.fit(
        data, {.epochs = 2, .batch = 7, .micro_batch = 3, .seed = 5});
    return student.weights();
  };
  CHECK(distance(train(net), train(padded)) < 1e-12);
  toy::linear student(3);
  lk::trainer refused{student, padded, distil, toy::sgd{}};
  CHECK_THROWS_MATCHES(refused.fit(data, {.epochs = 1, .batch = 7}), lk::shape_error,
                       Message("limbeck: teacher has shape 7 x 5, expected 7 x 3 (samples x classes)"));
}

TEST_CASE("a row drawn is a sequence, whose labels are its next tokens", "[trainer]") {
  struct sequence_batch {
    std::vector<double> inputs;
    std::vector<int> memory;
    decltype(lk::next_tokens(std::declval<std::vector<int>&>(), 1)) labels;
  };
  struct plain_batch {
    std::vector<double> inputs;
    std::vector<int> labels;
  };
  const toy::clouds data(40);
  constexpr std::size_t time = 4;
  const auto draw = [&](std::span<const std::size_t> rows) {
    plain_batch b;
    for (const std::size_t r : rows)
      for (std::size_t k = r * time; k < (r + 1) * time; ++k) {
        b.inputs.insert(b.inputs.end(), data.x.data() + k * toy::features, data.x.data() + (k + 1) * toy::features);
        b.labels.push_back(data.y[k]);
      }
    return b;
  };
  struct source {
    decltype(draw) from;
    std::size_t size() const { return 10; }
  };
  struct sequences : source {
    sequence_batch batch(std::span<const std::size_t> rows) const {
      auto b = from(rows);  // the vector's memory stays where it is as it moves
      const auto labels = lk::next_tokens(b.labels, time);
      return {std::move(b.inputs), std::move(b.labels), labels};
    }
  };
  struct shifted : source {
    plain_batch batch(std::span<const std::size_t> rows) const {
      auto b = from(rows);
      for (std::size_t i = 0; i < b.labels.size(); ++i) b.labels[i] = i % time == time - 1 ? -100 : b.labels[i + 1];
      return b;
    }
  };
  const auto train = [&](auto&& from) {
    toy::linear student(3), teacher(9);
    lk::trainer{student, teacher, distil, toy::sgd{}}.fit(from, {.epochs = 2, .batch = 5, .micro_batch = 2, .seed = 5});
    return student.weights();
  };
  CHECK(train(sequences{{draw}}) == train(shifted{{draw}}));
}

TEST_CASE("row weights and soft labels go to the objective under their names", "[trainer]") {
  struct soft_batch {
    std::vector<double> inputs;
    std::vector<int> labels;
    std::vector<float> row_weights;
    std::vector<double> memory;
    lk::rows<const double> soft_labels;
  };
  struct soft_data {
    toy::clouds& data;
    std::size_t size() const { return data.size(); }
    soft_batch batch(std::span<const std::size_t> rows) const {
      auto b = data.batch_of(rows);
      soft_batch s{b.inputs, b.labels, {}, {}, {}};
      for (const std::size_t r : rows) {
        s.row_weights.push_back(static_cast<float>(r % 4));
        for (std::size_t c = 0; c < toy::classes; ++c) s.memory.push_back(static_cast<int>(c) == data.y[r] ? 1 : 0);
      }
      s.soft_labels = {s.memory.data(), rows.size(), toy::classes};
      return s;
    }
  };
  toy::clouds data(24);
  std::vector<double> whole;
  for (const std::size_t part : {0U, 2U, 5U}) {
    toy::linear student(3);
    lk::trainer{student, lk::no_teacher{}, lk::cross_entropy{}, toy::sgd{}}.fit(
        soft_data{data}, {.epochs = 2, .batch = 12, .micro_batch = part});
    if (whole.empty()) whole = student.weights();
    CHECK(distance(student.weights(), whole) < 1e-12);
  }
}

}  // namespace
