// Prototypes: means of classes against their definition, and what is made of them: a teacher, a head with a way back, pseudo-labels.

#include <limbeck/limbeck.hpp>
#include <limbeck/loss/logits/label_pairs.hpp>
#include <limbeck/map/likeness_map.hpp>
#include <limbeck/map/through.hpp>
#include <limbeck/selection/without_outliers.hpp>
#include <limbeck/target/gated_memory.hpp>
#include <limbeck/target/prototypes.hpp>

#include "cases.hpp"
#include "map_archive.hpp"
#include "thread_team.hpp"

using namespace limbeck_test;

namespace {

real product(const double* a, const double* b, std::size_t n) {
  real sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<real>(a[i]) * b[i];
  return sum;
}
real likeness(const double* x, const double* p, std::size_t n, bool cosine) {
  if (cosine) return product(x, p, n) / std::sqrt(product(x, x, n) * product(p, p, n));
  real sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum -= (static_cast<real>(x[i]) - p[i]) * (static_cast<real>(x[i]) - p[i]);
  return sum;
}
const lk::likeness_settings both[] = {{.temperature = 0.3}, {.temperature = 4, .measure = lk::likeness::squared_distance}};

}  // namespace

TEST_CASE("prototypes are moving means of the rows of a class", "[target][prototypes]") {
  for (const bool unit : {false, true}) {
    lk::prototypes<double> p(4, 5, {.decay = 0.8, .unit_features = unit});
    std::vector<std::vector<real>> means(4, std::vector<real>(5));
    std::vector<std::size_t> counts(4);
    for (std::uint64_t step = 0; step < 6; ++step) {
      const matrix<double> x(9, 5, step, 2);
      std::vector<int> labels(9);
      std::vector<float> weights(9);
      for (std::size_t r = 0; r < 9; ++r) {
        labels[r] = r == 4 ? -100 : static_cast<int>((r * (step + 1)) % (step % 2 ? 2 : 3));  // class 3 is never seen
        weights[r] = step == 5 ? static_cast<float>(r % 3) : 1;
      }
      if (step == 5) p.update(x.in(), labels, weights);
      else p.update(x.in(), labels);
      for (std::size_t c = 0; c < 4; ++c) {
        std::vector<real> sum(5);
        real mass = 0;
        for (std::size_t r = 0; r < 9; ++r) {
          if (labels[r] != static_cast<int>(c) || weights[r] == 0) continue;
          const real by = static_cast<real>(weights[r]) / (unit ? std::sqrt(product(x.row(r), x.row(r), 5)) : 1);
          for (std::size_t j = 0; j < 5; ++j) sum[j] += by * x.row(r)[j];
          mass += static_cast<real>(weights[r]);
        }
        const auto rows = static_cast<std::size_t>(std::count_if(labels.begin(), labels.end(), [&](const int& l) {
          return l == static_cast<int>(c) && weights[static_cast<std::size_t>(&l - labels.data())] > 0;
        }));
        for (std::size_t j = 0; j < 5 && rows > 0; ++j)
          means[c][j] = counts[c] == 0 ? sum[j] / mass : 0.8L * means[c][j] + 0.2L * sum[j] / mass;
        counts[c] += rows;
      }
    }
    for (std::size_t c = 0; c < 4; ++c) {
      CHECK(p.count(c) == counts[c]);
      for (std::size_t j = 0; j < 5; ++j) CHECK(p.means()(c, j) == Approx(static_cast<double>(means[c][j])).margin(1e-14));
    }
    map_archive archive;
    p.serialize(archive);
    lk::prototypes<double> restored(4, 5, {.decay = 0.8, .unit_features = unit});
    archive.loading = true;
    restored.serialize(archive);
    const matrix<double> x(9, 5, 77, 2);
    const std::vector<int> labels{0, 1, 2, 3, 0, 1, 2, 3, 0};
    p.update(x.in(), labels), restored.update(x.in(), labels);
    CHECK(std::equal(p.means().data, p.means().data + 20, restored.means().data));
    CHECK(restored.count(3) == 2);
  }
}

TEST_CASE("an update that is refused changes nothing", "[target][prototypes]") {
  lk::prototypes<float> p(3, 2);
  matrix<float> x(3, 2, {1, 2, 3, 4, 5, 6});
  const std::vector<int> good{0, 1, 0};
  p.update(x.in(), good);
  const std::vector<float> before(p.means().data, p.means().data + 6);
  const auto refused = [&](const std::string& text, const auto& call) {
    CHECK(message_of<lk::value_error>(call) == text);
    CHECK(std::equal(before.begin(), before.end(), p.means().data));
    CHECK(p.count(0) == 2);
  };
  refused("limbeck: label 3 in row 2, expected 0 to 2, or -100 for none", [&] { p.update(x.in(), std::vector<int>{0, 1, 3}); });
  refused("limbeck: label -1 in row 0, expected 0 to 2, or -100 for none", [&] { p.update(x.in(), std::vector<int>{-1, 1, 1}); });
  refused("limbeck: weights is -1 at row 1, expected a finite number that is not negative",
          [&] { p.update(x.in(), good, std::vector<double>{1, -1, 1}); });
  x.data[5] = NAN;
  refused("limbeck: features is nan at row 2, column 1, expected a finite number", [&] { p.update(x.in(), good); });
  x.data[4] = x.data[5] = 0;
  lk::prototypes<float> unit(3, 2, {.unit_features = true});
  CHECK(message_of<lk::value_error>([&] { unit.update(x.in(), good); }) ==
        "limbeck: features at row 2 have the length 0 and no direction");
  CHECK(message_of<lk::value_error>([] { lk::prototypes<float>(1, 1, {.decay = 1}); }) ==
        "limbeck: decay is 1, expected a number in [0, 1)");
  CHECK_THROWS_AS(lk::prototypes<float>(0, 1), lk::shape_error);
  CHECK_THROWS_AS(p.update(x.in(), std::vector<int>{0, 1}), lk::shape_error);
  CHECK_THROWS_AS(p.update(matrix<float>(3, 3).in(), good), lk::shape_error);
}

TEST_CASE("likeness to prototypes is a teacher and a head: one definition, one masked class", "[target][prototypes]") {
  matrix<double> x(6, 7, 1, 1), p(5, 7, 2, 1);
  std::fill(p.row(3), p.row(3) + 7, 0.0);  // never seen
  for (const auto& how : both) {
    const bool cosine = how.measure == lk::likeness::cosine;
    const auto t = lk::like_prototypes(x.in(), p.in(), how);
    const auto z = filled(t);
    for (std::size_t r = 0; r < 6; ++r)
      for (std::size_t c = 0; c < 5; ++c)
        if (c == 3) CHECK(z.row(r)[c] == masked);
        else CHECK(z.row(r)[c] == Approx(static_cast<double>(likeness(x.row(r), p.row(c), 7, cosine) / how.temperature)).epsilon(1e-13));
    matrix<double> shared(6, 5);  // by the threads of a team
    with_team<true>([&](const auto& team) {
      for (std::size_t r = 0; r < 6; ++r) t.like.logits(team, x.row(r), shared.row(r));
    });
    for (std::size_t k = 0; k < 30; ++k) CHECK((shared.data[k] == z.data[k] || shared.data[k] == Approx(z.data[k]).epsilon(1e-13)));

    // with a way back, on either side: the definition, and differences
    const std::vector<int> labels{0, 1, 2, 4, 0, 1};
    const matrix<double> teacher(6, 7, 9, 1);
    const auto head = lk::likeness_map(p.in(), how);
    const lk::objective objective(lk::through(head, lk::cross_entropy{} + 2.0 * lk::forward_kl{} + 0.5 * lk::label_pairs{}));
    matrix<double> g(6, 7);
    const double value = objective(x.in(), teacher.in(), labels, lk::into(g.out())).loss;
    const auto zt = filled(lk::like_prototypes(teacher.in(), p.in(), how));
    real expected = 0;
    for (std::size_t r = 0; r < 6; ++r) {
      const auto q = softmax(z.row(r), 5), t_row = softmax(zt.row(r), 5);
      const real own = q[static_cast<std::size_t>(labels[r])];
      expected -= std::log(own) / 6;
      for (const std::size_t c : {0U, 1U, 2U, 4U}) {
        expected += 2 * t_row[c] * std::log(t_row[c] / q[c]) / 6;
        if (c != static_cast<std::size_t>(labels[r])) expected -= std::log(own / (own + 2 * q[c]) + 1e-6L) / 36;
      }
    }
    CHECK(value == Approx(static_cast<double>(expected)).epsilon(1e-13));
    for (std::size_t k = 0; k < x.data.size(); ++k) {
      const double kept = x.data[k], h = 1e-6;
      x.data[k] = kept + h;
      const double above = objective.value(x.in(), teacher.in(), labels);
      x.data[k] = kept - h;
      const double below = objective.value(x.in(), teacher.in(), labels);
      x.data[k] = kept;
      CHECK(g.data[k] == Approx((above - below) / (2 * h)).epsilon(1e-6).margin(1e-8));
    }
    std::fill(x.row(2), x.row(2) + 7, 0.0);  // as like to every class, and nothing to learn from it by the cosine
    if (cosine) {
      const auto flat = filled(t);
      for (const std::size_t c : {0U, 1U, 2U, 4U}) CHECK(flat.row(2)[c] == 0);
      objective(x.in(), teacher.in(), labels, lk::into(g.out()));
      for (std::size_t j = 0; j < 7; ++j) CHECK(g.row(2)[j] == 0);
    }
    x = matrix<double>(6, 7, 1, 1);
  }
  CHECK(message_of<lk::value_error>([&] { lk::like_prototypes(x.in(), p.in(), {.temperature = 0}); }) ==
        "limbeck: temperature is 0, expected a positive number");
  CHECK_THROWS_AS(lk::like_prototypes(x.in(), matrix<double>(5, 6).in()), lk::shape_error);
  CHECK_THROWS_AS(lk::like_prototypes(matrix<double>(7, 6).in().transposed(), p.in()), lk::shape_error);
  // in a call the target is the teacher
  const matrix<double> s(6, 5, 4, 1), known = filled(lk::like_prototypes(x.in(), p.in()));
  const lk::objective kl(lk::reverse_kl{});
  CHECK(kl.value(known.in(), lk::like_prototypes(x.in(), p.in())) == Approx(0).margin(1e-14));
  x.row(1)[2] = NAN;
  CHECK_THROWS_AS(kl.value(s.in(), lk::like_prototypes(x.in(), p.in())), lk::value_error);
}

TEST_CASE("the prototype that a row is likest, and by how much it leads", "[target][prototypes]") {
  const matrix<double> p(3, 2, {2, 0, 0, 5, 0, 0});
  matrix<double> x(4, 2, {3, 0, 1, 1, 1, 2, -1, -3});
  std::vector<std::int64_t> labels(4);
  std::vector<float> margins(4);
  lk::prototype_margin(x.in(), p.in(), labels, margins);
  CHECK(labels == std::vector<std::int64_t>{0, 0, 1, 0});
  CHECK(margins[0] == 1);
  CHECK(std::fabs(margins[1]) < 1e-7);  // between the two
  CHECK(margins[2] == Approx(1 / std::sqrt(5.0)));
  CHECK(margins[3] == Approx(2 / std::sqrt(10.0)));
  CHECK(message_of<lk::value_error>([&] { lk::prototype_margin(x.in(), matrix<double>(2, 2, {1, 0, 0, 0}).in(), labels, margins); }) ==
        "limbeck: a margin needs the prototypes of two classes, and there are fewer");
  struct spread {  // a vector whose elements are two apart
    std::vector<double> all = std::vector<double>(8, -1);
    double* data() { return all.data(); }
    const double* data() const { return all.data(); }
    std::size_t size() const { return 4; }
    std::ptrdiff_t innerStride() const { return 2; }
  } every_other, classes;
  lk::prototype_margin(x.in(), p.in(), classes, every_other);
  CHECK(classes.all == std::vector<double>{0, -1, 0, -1, 1, -1, 0, -1});
  CHECK((every_other.all[2] == Approx(margins[1]).margin(1e-7) && every_other.all[6] == Approx(margins[3]) && every_other.all[7] == -1));
  x.data[3] = INFINITY;
  CHECK(message_of<lk::value_error>([&] { lk::prototype_margin(x.in(), p.in(), labels, margins); }) ==
        "limbeck: features is inf at row 1, column 1, expected a finite number");
  CHECK_THROWS_AS(lk::prototype_margin(x.in(), p.in(), labels, std::vector<float>(3)), lk::shape_error);
}

TEST_CASE("prototypes: cosines of lengths whose squares are no float, and sums that overflow", "[target][prototypes]") {
  const std::vector<float> p{0, 0, 3e-24f, 4e-24f, 4e19f, -3e19f};  // class 0 was never seen
  const lk::rows<const float> prototypes(p.data(), 3, 2);
  for (const float size : {1e20f, 1.0f, 1e-23f}) {
    const std::vector<float> x{2 * size, size};
    std::vector<float> z(3), q(2), g(2);
    lk::fill(lk::like_prototypes(lk::rows<const float>(x.data(), 1, 2), prototypes, {.temperature = 1}), lk::rows<float>(z.data(), 1, 3));
    CHECK(z[0] == -std::numeric_limits<float>::infinity());
    CHECK(z[1] == Approx(2 / std::sqrt(5.0)));
    CHECK(z[2] == Approx(1 / std::sqrt(5.0)));
    // a cosine has the derivative of x at size x over size
    const lk::objective head{lk::through(lk::likeness_map(prototypes, {.temperature = 1}), lk::cross_entropy{})};
    const std::vector<float> unit{2, 1};
    head(lk::rows<const float>(x.data(), 1, 2), std::vector<int>{1}, lk::into(lk::rows<float>(g.data(), 1, 2)));
    head(lk::rows<const float>(unit.data(), 1, 2), std::vector<int>{1}, lk::into(lk::rows<float>(q.data(), 1, 2)));
    for (std::size_t j = 0; j < 2; ++j) CHECK(g[j] * size == Approx(q[j]).epsilon(1e-5));
  }
  lk::prototypes<double> means(1, 1);
  means.update(matrix<double>(1, 1, {2}).in(), std::vector<int>{0});
  CHECK(message_of<lk::value_error>([&] {
          means.update(matrix<double>(2, 1, {1, 1}).in(), std::vector<int>{0, 0}, std::vector<double>{1e308, 1e308});
        }) == "limbeck: the sums of the weights and of the weighted features of class 0 are not finite, expected smaller weights or features");
  CHECK((means.means()(0, 0) == 2 && means.count(0) == 1));
}

TEST_CASE("label_pairs: the label against each other class", "[loss][prototypes]") {
  const matrix<double> s(5, 6, 3, 2);
  const std::vector<int> labels{0, 5, 2, 3, 3};
  const auto expected = [&](double t, double k, double floor) {
    real sum = 0;
    for (std::size_t r = 0; r < 5; ++r)
      for (std::size_t c = 0; c < 6; ++c) {
        if (c == static_cast<std::size_t>(labels[r])) continue;
        const real p = std::exp(static_cast<real>(s.row(r)[static_cast<std::size_t>(labels[r])]) / t), n = std::exp(static_cast<real>(s.row(r)[c]) / t);
        sum -= std::log(p / (p + k * n) + floor) / 25;
      }
    return static_cast<double>(sum);
  };
  const auto objective = [](double t, double k, double floor) {
    return lk::objective(lk::at_temperature(t, lk::label_pairs{.negatives = k, .floor = floor}));
  };
  CHECK(objective(1, 2, 1e-6).value(s.in(), labels) == Approx(expected(1, 2, 1e-6)).epsilon(1e-13));
  CHECK(objective(2.5, 1, 0).value(s.in(), labels) == Approx(2.5 * expected(2.5, 1, 0)).epsilon(1e-13));
  const matrix<double> equal(2, 4, std::vector<double>(8, 7.0));
  CHECK(objective(1, 2, 0).value(equal.in(), std::vector<int>{1, 2}) == Approx(std::log(3.0)));
  // two classes, one for one: cross-entropy, whose gradient is q - y
  const matrix<double> two(5, 2, 3, 2);
  const std::vector<int> y{0, 1, 1, 0, 1};
  matrix<double> g(5, 2);
  objective(1, 1, 0)(two.in(), y, lk::into(g.out()));
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 2; ++c)
      CHECK(g.row(r)[c] == Approx(static_cast<double>((softmax(two.row(r), 2)[c] - (static_cast<int>(c) == y[r] ? 1 : 0)) / 5)));
  // in float: pairs that are sure keep their digits, and those that are hopeless are no infinity
  const matrix<float> sure(2, 2, {20, 0, 0, 100});
  matrix<float> small(2, 2);
  std::vector<float> values(2);
  objective(1, 2, 0)(sure.in(), std::vector<int>{0, 0}, lk::into(small.out()), lk::row_losses(values), lk::sum);
  CHECK(values[0] == Approx(2 * std::exp(-20.0)).epsilon(1e-5));
  CHECK(small.row(0)[1] == Approx(2 * std::exp(-20.0)).epsilon(1e-5));
  CHECK(values[1] == Approx(100 + std::log(2.0)));
  CHECK((small.row(1)[1] == 1 && small.row(1)[0] == -1));
  CHECK(objective(1, 2, 1e-6).value(matrix<double>(1, 2, {90, 0}).in(), std::vector<int>{0}) == Approx(-std::log1p(1e-6)));
  // masked classes count nowhere; far behind, the floor bounds it and lets go
  matrix<double> far(2, 3, {0, 1, masked, 0, 3000, masked}), slope(2, 3);
  CHECK(objective(1, 2, 1e-6)(far.in(), std::vector<int>{1, 0}, lk::into(slope.out())).loss ==
        Approx((-std::log(1e-6) - std::log(1 / (1 + 2 * std::exp(-1.0)) + 1e-6)) / 2));
  CHECK(slope.row(0)[1] == -slope.row(0)[0]);
  CHECK((slope.row(0)[2] == 0 && slope.row(1)[0] == 0 && slope.row(1)[1] == 0));
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)})
    for (const std::size_t c : {0U, 1U}) {
      far.row(1)[c] = bad;
      CHECK(message_of<lk::value_error>([&] { objective(1, 2, 1e-6).value(far.in(), std::vector<int>{1, 0}); })
                .find("limbeck: student is ") == 0);
      far.row(1)[c] = 0;
    }
  CHECK(message_of<lk::value_error>([&] { objective(1, 0, 0).value(s.in(), labels); }) ==
        "limbeck: label_pairs.negatives is 0, expected a positive number");
  CHECK(message_of<lk::value_error>([&] { objective(1, 1, 1).value(s.in(), labels); }) ==
        "limbeck: label_pairs.floor is 1, expected a number in [0, 1)");
}

TEST_CASE("a gated memory takes what is sure and new, and the oldest makes room", "[target][prototypes]") {
  lk::gated_memory<double> memory(2, 2, {.confidence = 0.5, .similarity = 0.9});
  const matrix<double> x(4, 2, {1, 0, 5, 0.1, 0, 1, 1, 1});  // the second is like the first
  CHECK(memory.offer(x.in(), std::vector<double>{0.4, 0.5, 0.5, 0.49}) == 2);
  CHECK(std::equal(x.row(1), x.row(3), memory.rows_kept().data));
  CHECK(memory.offer(x.in(), std::vector<double>{1, 1, 1, 1}) == 1);  // the first three are like what is kept
  CHECK((memory.rows_kept()(0, 0) == 1 && memory.rows_kept()(0, 1) == 1 && memory.rows_kept()(1, 1) == 1));
  CHECK(memory.offer(matrix<double>(1, 2, {0, 0}).in(), std::vector<double>{1}) == 1);  // like nothing
  CHECK((memory.size() == 2 && memory.taken() == 4));
  map_archive archive;
  memory.serialize(archive);
  lk::gated_memory<double> restored(2, 2);
  archive.loading = true;
  restored.serialize(archive);
  CHECK((restored.taken() == 4 && std::equal(restored.rows_kept().data, restored.rows_kept().data + 4, memory.rows_kept().data)));
  lk::gated_memory<double> open(3, 2, {.confidence = -1, .similarity = 2});
  CHECK(open.offer(x.in(), std::vector<double>(4)) == 4);
  CHECK(open.size() == 3);
  CHECK(message_of<lk::value_error>([&] { memory.offer(matrix<double>(2, 2, {1, 1, 1, NAN}).in(), std::vector<double>{1, 1}); }) ==
        "limbeck: features is nan at row 1, column 1, expected a finite number");
  CHECK(memory.taken() == 4);
  CHECK_THROWS_AS(memory.offer(x.in(), std::vector<double>{1}), lk::shape_error);
  CHECK_THROWS_AS(lk::gated_memory<double>(0, 2), lk::shape_error);
}

TEST_CASE("rows without outliers are those that the median's scale leaves", "[selection]") {
  lk::random_stream random(5);
  std::vector<double> s(50);
  for (double& x : s) x = 1000 + random.normal();
  s[7] += 9, s[30] -= 9;
  std::vector<double> sorted = s, apart(50), z(50);  // the authors' code
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t r = 0; r < 50; ++r) apart[r] = std::fabs(s[r] - sorted[24]);
  std::vector<double> order = apart;
  std::sort(order.begin(), order.end());
  real mean = 0, squares = 0;
  for (std::size_t r = 0; r < 50; ++r) mean += z[r] = (s[r] - sorted[24]) / order[24];
  mean /= 50;
  for (const double x : z) squares += (x - mean) * (x - mean);
  std::vector<std::size_t> expected;
  for (std::size_t r = 0; r < 50; ++r)
    if (std::fabs(z[r] - mean) / std::sqrt(squares / 49) <= 1.5L) expected.push_back(r);
  CHECK(expected.size() < 49);
  CHECK(lk::without_outliers{}(s) == expected);
  CHECK(lk::without_outliers{}(std::vector<float>{3, 3, 3}).size() == 3);
  CHECK(lk::without_outliers{.deviations = 0}(std::vector<float>{1, 2, 3}) == std::vector<std::size_t>{1});
  CHECK(lk::without_outliers{}(std::vector<float>{}).empty());
  s[3] = NAN;
  CHECK(message_of<lk::value_error>([&] { lk::without_outliers{}(s); }) == "limbeck: the score of row 3 is nan, expected a finite number");
  CHECK(message_of<lk::value_error>([] { lk::without_outliers{.deviations = -1}(std::vector<float>{1}); }) ==
        "limbeck: deviations is -1, expected a number >= 0");
}
