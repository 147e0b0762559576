// The averager: its mean against the definition, its counters, its memory, its state and its errors.
#include "catch.hpp"
#include "map_archive.hpp"

#include <limbeck/averaging/averaging.hpp>
#include <limbeck/schedule/schedules.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lk = limbeck;
using Catch::Matchers::Contains;
using network = std::vector<std::vector<float>>;

namespace {

template <class T = float>
std::vector<std::vector<T>> random_network(std::uint64_t seed, std::vector<std::size_t> sizes = {5, 130, 0, 1}) {
  lk::random_stream random(seed);
  std::vector<std::vector<T>> n;
  for (const std::size_t s : sizes) {
    n.emplace_back(s);
    for (T& x : n.back()) x = static_cast<T>(random.normal());
  }
  return n;
}

template <class Views>
auto contents(const Views& views) {
  return lk::snapshot(views);
}

}  // namespace

TEMPLATE_TEST_CASE("averager: an update is d teacher + (1 - d) student", "[averaging]", float, double) {
  const double eps = std::numeric_limits<TestType>::epsilon();
  const auto start = random_network<TestType>(1);
  lk::averager teacher(lk::ema{.decay = 0.9}, start);
  CHECK(contents(teacher.parameters()) == start);
  std::vector<std::vector<long double>> expected;
  for (const auto& t : start) expected.emplace_back(t.begin(), t.end());
  for (std::uint64_t step = 0; step < 20; ++step) {
    const auto student = random_network<TestType>(100 + step);
    CHECK(teacher.update(student));
    for (std::size_t t = 0; t < start.size(); ++t)
      for (std::size_t i = 0; i < start[t].size(); ++i) {
        expected[t][i] = 0.9L * expected[t][i] + 0.1L * static_cast<long double>(student[t][i]);
        CHECK(std::fabs(static_cast<double>(expected[t][i]) - static_cast<double>(teacher.parameters()[t][i])) <
              10 * eps);
      }
  }
  CHECK(teacher.updates() == 20);
}

TEST_CASE("averager: parameters are any range of tensors, or one tensor", "[averaging]") {
  std::vector<float> a{1, 2, 3}, b{4};
  std::vector<std::span<float>> spans{a, b};
  std::array<std::vector<float>, 2> vectors{a, b};
  const std::vector<std::span<const float>> constant{a, b};
  lk::averager from_spans(0.5, spans);
  lk::averager from_vectors(lk::ema{0.5}, vectors), from_constant(lk::ema{0.5}, constant);
  lk::averager single(lk::ema{0.5}, a);
  a = {3, 2, 1};
  CHECK(from_spans.update(constant));
  vectors[0] = a;
  CHECK(from_vectors.update(vectors));
  CHECK(from_constant.update(spans));
  CHECK(single.update(a));
  const network expected{{2, 2, 2}, {4}};
  CHECK(contents(from_spans.parameters()) == expected);
  CHECK(contents(from_vectors.parameters()) == expected);
  CHECK(contents(from_constant.parameters()) == expected);
  CHECK(contents(single.parameters()) == network{{2, 2, 2}});
}

TEST_CASE("averager: where teacher and student agree, nothing moves by a bit", "[averaging]") {
  const auto student = random_network(3);
  lk::averager teacher(lk::ema{.decay = 0.9999}, student);
  for (int i = 0; i < 100; ++i) teacher.update(student);
  CHECK(contents(teacher.parameters()) == student);
}

TEST_CASE("averager: decay 0 copies, whatever the sizes of the numbers; decay 1 stays", "[averaging]") {
  network student{{1e30f, -1e-30f, 0.1f, 0.f}};
  lk::averager copy(lk::ema{.decay = 0}, network{{-1e38f, 1e30f, 3.f, 1.f}});
  copy.update(student);
  CHECK(contents(copy.parameters()) == student);
  lk::averager still(lk::ema{.decay = 1}, student);
  student[0][0] = std::numeric_limits<float>::quiet_NaN();
  still.update(student);
  CHECK(still.parameters()[0][0] == 1e30f);
}

TEST_CASE("averager: a teacher in place is the caller's memory, with its own start", "[averaging]") {
  network own = random_network(4);
  const network student = random_network(5);
  const auto start = own;
  {
    lk::averager teacher(lk::ema{.decay = 0.25}, lk::in_place(own));
    CHECK(teacher.parameters()[1].data() == own[1].data());
    teacher.update(student);
  }
  CHECK(own[1][7] == Approx(0.25 * start[1][7] + 0.75 * student[1][7]).margin(1e-6));
  const auto views = [&] { return std::vector<std::span<float>>(own.begin(), own.end()); };
  lk::averager by_spans(lk::ema{.decay = 0}, lk::in_place(views()));
  by_spans.update(student);
  CHECK(own == student);
}

TEST_CASE("averager: it can be moved, its memory does not", "[averaging]") {
  const auto student = random_network(6);
  lk::averager teacher(lk::ema{.decay = 0.5}, random_network(7));
  const float* const where = teacher.parameters()[1].data();
  lk::averager moved(std::move(teacher));
  CHECK(moved.parameters()[1].data() == where);
  moved.update(student);
  CHECK(moved.updates() == 1);
}

TEST_CASE("averager: start and every choose the calls; the first after a start copies", "[averaging]") {
  std::vector<float> student{0};
  lk::averager teacher(lk::ema{.decay = 0.5}, student, {.start = 4, .every = 3});
  std::vector<float> seen;
  for (int call = 1; call <= 13; ++call) {
    student[0] = static_cast<float>(call);
    if (teacher.update(student)) seen.push_back(teacher.parameters()[0][0]);
  }
  CHECK(seen == std::vector<float>{7, 8.5f, 10.75f});  // calls 7, 10, 13
  CHECK(teacher.calls() == 13);
  CHECK(teacher.updates() == 3);
  lk::averager third(lk::ema{.decay = 0.5}, std::vector<float>{0}, {.every = 3});
  CHECK_FALSE(third.update(student));
  CHECK_FALSE(third.update(student));
  CHECK(third.update(student));
  CHECK(third.parameters()[0][0] == 6.5f);
}

TEST_CASE("averager: SWA is the mean of what it has seen from its start on", "[averaging]") {
  lk::averager mean(lk::swa{}, random_network(0), {.start = 10, .every = 5});
  std::vector<double> sum(130);
  for (std::uint64_t epoch = 1; epoch <= 40; ++epoch) {
    const auto student = random_network(epoch);
    if (mean.update(student))
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(student[1][i]);
  }
  CHECK(mean.updates() == 6);
  for (std::size_t i = 0; i < sum.size(); ++i) CHECK(mean.parameters()[1][i] == Approx(sum[i] / 6).margin(1e-6));
}

TEST_CASE("averager: buffers are a second range, averaged or copied; integers are copied", "[averaging]") {
  std::vector<double> running_mean{1, 2};
  std::vector<std::int64_t> batches{10};
  lk::averager averaged(lk::ema{.decay = 0.5}, running_mean);
  lk::averager copies(lk::copied{}, running_mean);
  lk::averager counter(lk::copied{}, batches);
  running_mean = {3, 4};
  batches = {11};
  averaged.update(running_mean);
  copies.update(running_mean);
  counter.update(batches);
  CHECK(averaged.parameters()[0][1] == 3);
  CHECK(copies.parameters()[0][1] == 4);
  CHECK(counter.parameters()[0][0] == 11);
}

TEST_CASE("averager: two teachers of two students stay one where the students do (DTS)", "[averaging]") {
  lk::averager first(lk::mean_teacher{}, random_network(1)), second(lk::mean_teacher{}, random_network(1));
  for (std::uint64_t step = 2; step < 9; ++step) {
    first.update(random_network(step));
    second.update(random_network(step));
  }
  CHECK(contents(first.parameters()) == contents(second.parameters()));
}

TEST_CASE("averager: threads change no bit", "[averaging]") {
  const std::vector<std::size_t> sizes{200000, 3, 65536, 65537};
  lk::averager one(lk::ema{.decay = 0.9}, random_network(1, sizes)),
      two(lk::ema{.decay = 0.9}, random_network(1, sizes));
  const auto student = random_network(2, sizes);
  for (int i = 0; i < 3; ++i) {
    one.update(student);
    two.update(student, lk::on(lk::openmp{2}), lk::progress(0.5));
  }
  CHECK(contents(one.parameters()) == contents(two.parameters()));
}

TEST_CASE("averager: stopped at any step and resumed is never stopped", "[averaging]") {
  const auto run = [](std::uint64_t stop) {
    auto teacher = std::make_unique<lk::averager<float, lk::mean_teacher>>(
        lk::mean_teacher{.decay = 0.8}, random_network(0), lk::averaging_period{.start = 2, .every = 2});
    for (std::uint64_t step = 0; step < 12; ++step) {
      if (step == stop) {
        limbeck_test::map_archive archive;
        teacher->serialize(archive);
        teacher = std::make_unique<lk::averager<float, lk::mean_teacher>>(
            lk::mean_teacher{.decay = 0.8}, random_network(99), lk::averaging_period{.start = 2, .every = 2});
        archive.loading = true;
        teacher->serialize(archive);
      }
      teacher->update(random_network(step + 1));
    }
    return contents(teacher->parameters());
  };
  const auto never = run(1000);
  for (std::uint64_t stop = 0; stop < 12; ++stop) CHECK(run(stop) == never);
}

TEST_CASE("averager: an archive of another network is refused", "[averaging]") {
  limbeck_test::map_archive archive;
  lk::averager small_one(lk::ema{}, random_network(1, {2, 3}));
  small_one.serialize(archive);
  archive.loading = true;
  lk::averager other(lk::ema{}, random_network(2, {2, 3, 4}));
  CHECK_THROWS_WITH(other.serialize(archive), Contains("limbeck: the archive holds 2 tensors, the teacher 3"));
}

TEST_CASE("averager: bad input is named and changes nothing", "[averaging]") {
  const auto start = random_network(1);
  lk::averager teacher(lk::ema{.decay = 0.5}, start);
  const auto unchanged = [&](const auto& student, const char* message) {
    CHECK_THROWS_WITH(teacher.update(student), Contains(message));
    CHECK(contents(teacher.parameters()) == start);
    CHECK(teacher.updates() == 0);
    CHECK(teacher.calls() == 0);
  };
  unchanged(random_network(2, {5, 130}), "limbeck: 2 tensors of parameters, expected 4 (as the teacher)");
  unchanged(random_network(2, {5, 131, 0, 1}),
            "limbeck: parameters tensor 1 has 131 elements, expected 130 (as the teacher)");
  unchanged(teacher.parameters(), "overlaps");
  auto views = teacher.parameters();
  auto fresh = random_network(3);
  std::vector<std::span<const float>> mixed(fresh.begin(), fresh.end());
  mixed[0] = views[1].first(5);  // the teacher's tensor 1 as the student's tensor 0
  unchanged(mixed, "overlaps");
  CHECK(teacher.update(fresh));

  CHECK_THROWS_WITH(lk::averager(lk::ema{.decay = 1.5}, start),
                    Contains("limbeck: ema::decay is 1.5, expected a number in [0, 1]"));
  CHECK_THROWS_AS(lk::averager(lk::ema{.decay = std::nan("")}, start), lk::value_error);
  CHECK_THROWS_WITH(lk::averager(lk::constant(-1), start), Contains("limbeck: decay is -1 at update 1"));
  CHECK_THROWS_WITH(lk::averager(lk::ema{}, network{}), Contains("limbeck: the parameters hold no element"));
  CHECK_THROWS_AS(lk::averager(lk::ema{}, network{{}, {}}), lk::shape_error);
  CHECK_THROWS_WITH(lk::averager(lk::ema{}, start, {.every = 0}), Contains("averaging_period::every is 0"));
  CHECK_THROWS_AS(lk::averager(lk::mean_teacher{.decay = 2}, start), lk::value_error);
  std::vector<float> memory(10);
  const std::vector<std::span<float>> twice{std::span(memory).first(6), std::span(memory).last(5)};
  CHECK_THROWS_WITH(lk::averager(lk::ema{}, lk::in_place(twice)),
                    Contains("teacher tensor 1 overlaps teacher tensor 0"));
}

TEST_CASE("averager: a decay that leaves [0, 1] during the run is named; tied weights of the student are fine",
          "[averaging]") {
  std::vector<float> student{1, 2};
  lk::averager teacher(lk::linear(0.5, 1.5), student);
  student = {3, 4};
  CHECK(teacher.update(student, lk::progress(0.0)));
  CHECK_THROWS_WITH(teacher.update(student, lk::progress(1.0)), Contains("limbeck: decay is 1.5 at update 2"));
  CHECK(teacher.updates() == 1);
  const std::vector<std::span<const float>> tied{student, student};
  lk::averager two(lk::ema{.decay = 0.5}, tied);
  CHECK(two.update(tied));
}

TEST_CASE("averager: a NaN of the student stays where it was written", "[averaging]") {
  std::vector<float> student{1, std::numeric_limits<float>::quiet_NaN()};
  lk::averager teacher(lk::ema{.decay = 0.5}, std::vector<float>{1, 1});
  teacher.update(student);
  student[1] = 1;
  teacher.update(student);
  CHECK(teacher.parameters()[0][0] == 1);
  CHECK(std::isnan(teacher.parameters()[0][1]));
}

TEST_CASE("an average refuses a student that is not finite, where it is told to", "[averaging][errors]") {
  std::vector<float> first{1, 2, 3}, second{4, 5};
  const std::vector<std::span<float>> student{first, second};
  limbeck::averager teacher(limbeck::ema{.decay = 0.5}, student);
  limbeck::averager plain(limbeck::ema{.decay = 0.5}, student);
  first[0] = 3;
  CHECK(teacher.update(student, limbeck::require_finite));
  plain.update(student);
  CHECK(teacher.parameters()[0][0] == plain.parameters()[0][0]);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    second[1] = bad;
    const std::vector<float> before(teacher.parameters()[0].begin(), teacher.parameters()[0].end());
    CHECK_THROWS_WITH(teacher.update(student, limbeck::require_finite),
                      Catch::Contains("limbeck: parameter tensor 1 is ") && Catch::Contains(" at element 1, expected a finite"));
    CHECK(std::equal(before.begin(), before.end(), teacher.parameters()[0].begin()));
    CHECK(teacher.updates() == 1);
    CHECK(teacher.calls() == 1);
  }
  plain.update(student);
  CHECK(!std::isfinite(plain.parameters()[1][1]));
}

TEST_CASE("a teacher in double follows a student in float", "[averaging]") {
  const auto student = random_network<float>(3);
  auto teacher = random_network<double>(4);
  auto expected = teacher;
  lk::averager a(lk::ema{.decay = 0.9}, lk::in_place(teacher));
  for (int n = 0; n < 3; ++n) {
    a.update(student, lk::require_finite);
    for (std::size_t i = 0; i < student.size(); ++i)
      for (std::size_t k = 0; k < student[i].size(); ++k)
        expected[i][k] += (1 - 0.9) * (static_cast<double>(student[i][k]) - expected[i][k]);
  }
  CHECK(teacher == expected);
  a.update(expected);  // and one in its own type, in the same life
  CHECK(a.updates() == 4);

  // the step that float loses
  std::vector<double> master{1};
  lk::averager slow(lk::ema{.decay = 0.9999}, lk::in_place(master));
  const std::vector<float> weight{1.0005F};
  for (int n = 0; n < 200000; ++n) slow.update(weight);
  CHECK(master[0] == Approx(static_cast<double>(weight[0])).epsilon(1e-9));

  // an error leaves it as it was, whatever the types
  auto broken = student;
  broken[1][7] = std::numeric_limits<float>::quiet_NaN();
  const auto before = teacher;
  CHECK_THROWS_WITH(a.update(broken, lk::require_finite), Contains("parameter tensor 1 is nan at element 7"));
  CHECK(teacher == before);
  const std::span<float> inside(reinterpret_cast<float*>(master.data()), 1);
  CHECK_THROWS_WITH(slow.update(inside), Contains("parameter tensor 0 overlaps teacher tensor 0"));
  // a period that begins late begins with a copy
  std::vector<double> late{0};
  lk::averager from(lk::ema{.decay = 0.5}, lk::in_place(late), {.start = 1});
  from.update(weight);
  from.update(weight);
  CHECK(late[0] == static_cast<double>(weight[0]));
}
