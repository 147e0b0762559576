// Students of parts of the conditions, the router between them, a cascade of student and teacher.
#include "tiny.hpp"

#include "catch.hpp"

#include <limbeck/driver/parts.hpp>
#include <limbeck/selection/k_means.hpp>

#include <csignal>
#include <limits>

namespace {

namespace lk = limbeck;
using Catch::Matchers::Message;

TEST_CASE("partition: neighbours in parts whose sizes differ by one at most, or clusters", "[diffusion][parts]") {
  for (const std::size_t n : {1U, 7U, 10U, 61U})
    for (std::size_t k = 1; k <= n && k <= 10; ++k) {
      const auto p = lk::condition_partition::consecutive(n, k);
      CHECK(p.size() == k);
      std::size_t all = 0;
      int next = 0;
      for (std::size_t i = 0; i < k; ++i) {
        const auto& mine = p.conditions(i);
        CHECK((mine.size() == n / k || mine.size() == n / k + 1));
        for (const int c : mine) {
          CHECK(c == next++);  // neighbours
          CHECK(p(c) == i);
        }
        all += mine.size();
      }
      CHECK(all == n);
    }
  const std::vector<double> embeddings{0, 0.1, 5, 5.1, 0.2};
  const lk::condition_partition clusters(lk::k_means<>{.clusters = 2}(lk::rows<const double>(embeddings.data(), 5, 1)).of);
  CHECK(clusters.size() == 2);
  CHECK(clusters(0) == clusters(4));
  CHECK(clusters(2) == clusters(3));
  CHECK(clusters(0) != clusters(2));
  CHECK_THROWS_MATCHES(lk::condition_partition({0, 2}), lk::value_error,
                       Message("limbeck: part 1 of condition_partition has no condition, expected at least 1"));
  CHECK_THROWS_AS(lk::condition_partition({}), lk::value_error);
  CHECK_THROWS_AS(lk::condition_partition({static_cast<std::size_t>(-1), 0}), lk::value_error);
  CHECK_THROWS_MATCHES(lk::condition_partition::consecutive(3, 4), lk::value_error,
                       Message("limbeck: parts of condition_partition is 4, expected 1 to 3, the conditions"));
  CHECK_THROWS_MATCHES(clusters(5), lk::value_error, Message("limbeck: condition is 5, expected 0 to 4"));
  CHECK_THROWS_MATCHES(clusters.conditions(2), lk::value_error, Message("limbeck: part is 2, expected 0 to 1"));
}

TEST_CASE("partition: each row is its own student's", "[diffusion][parts]") {
  const auto p = lk::condition_partition::consecutive(6, 3);
  const std::vector<double> z{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<int> conditions{5, 0, 4, 1};
  std::vector<double> out(8), given;
  std::vector<std::size_t> asked;
  const auto generate = [&](std::size_t part, const lk::rows<const double>& noise, std::span<const int> c) {
    asked.push_back(part);
    given.clear();
    for (std::size_t r = 0; r < noise.samples; ++r)
      for (std::size_t j = 0; j < 2; ++j) given.push_back(100 * static_cast<double>(part) + 10 * c[r] + noise(r, j));
    return lk::rows<const double>(given.data(), noise.samples, 2);
  };
  lk::sample_by_part(p, lk::rows<const double>(z.data(), 4, 2), conditions, generate, lk::rows<double>(out.data(), 4, 2));
  CHECK(out == std::vector<double>{251, 252, 3, 4, 245, 246, 17, 18});
  CHECK(asked == std::vector<std::size_t>{0, 2});
  const std::vector<int> wrong{5, 0, 6, 1};
  const auto before = out;
  CHECK_THROWS_AS(lk::sample_by_part(p, lk::rows<const double>(z.data(), 4, 2), wrong, generate, lk::rows<double>(out.data(), 4, 2)), lk::value_error);
  CHECK(out == before);
}

TEST_CASE("partition: a run a part, stopped and resumed", "[diffusion][parts]") {
  const auto folder = std::filesystem::temp_directory_path() / "limbeck_parts";
  std::vector<std::string> files;
  const auto run = [&](std::size_t stop) {
    return lk::train_parts(folder, 3, [&](std::size_t part, const std::filesystem::path& file) {
      files.push_back(file.filename().string());
      return lk::training_result{.steps = part, .interrupted = part == stop};
    });
  };
  CHECK(run(9).size() == 3);
  CHECK(files == std::vector<std::string>{"part-0.ckpt", "part-1.ckpt", "part-2.ckpt"});
  const auto some = run(1);
  CHECK(some.size() == 2);
  CHECK(some.back().interrupted);
  const auto behind = lk::train_parts(folder, 3, [](std::size_t part, const std::filesystem::path&) {
    if (part == 1) std::raise(SIGINT);  // in the last step of a part, whose result does not know
    return lk::training_result{.steps = part};
  });
  CHECK(behind.size() == 2);
  CHECK_FALSE(behind.back().interrupted);
  std::filesystem::remove_all(folder);
  CHECK_THROWS_MATCHES(lk::train_parts("", 0, [](std::size_t, const std::filesystem::path&) { return lk::training_result{}; }), lk::value_error,
                       Message("limbeck: parts is 0, expected at least 1"));
}

TEST_CASE("cascade: of the calibration set that share goes to the teacher", "[diffusion][cascade]") {
  std::vector<double> x(40), scores(20), made;
  lk::random_stream random(6);
  for (double& s : scores) s = random.normal();
  for (const double percent : {0.0, 5.0, 50.0, 95.0}) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
    const double tau = lk::score_threshold(std::span<const double>(scores), percent);
    const auto negate = [&](const lk::rows<const double>& poor, std::span<const std::size_t> which) {
      made.assign(2 * which.size(), 0);
      for (std::size_t r = 0; r < which.size(); ++r) {
        CHECK(poor(r, 1) == static_cast<double>(2 * which[r] + 1));
        made[2 * r] = -poor(r, 0), made[2 * r + 1] = -poor(r, 1);
      }
      return lk::rows<const double>(made.data(), which.size(), 2);
    };
    const auto again = lk::cascade(lk::rows<double>(x.data(), 20, 2), scores, tau, negate);
    CHECK(again.size() == static_cast<std::size_t>(std::lround(percent / 100 * 20)));
    for (std::size_t r = 0; r < 20; ++r) CHECK(x[2 * r + 1] == (scores[r] < tau ? -1 : 1) * static_cast<double>(2 * r + 1));
  }
  CHECK(lk::score_threshold(std::span<const double>(std::vector<double>{4, 1, 3, 2}), 50) == 2.5);
  scores[3] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_MATCHES(lk::score_threshold(std::span<const double>(scores), 50), lk::value_error, Message("limbeck: scores is nan at row 3"));
  const auto none = [](const lk::rows<const double>& poor, std::span<const std::size_t>) { return poor; };
  CHECK_THROWS_MATCHES(lk::cascade(lk::rows<double>(x.data(), 20, 2), scores, 0, none), lk::value_error, Message("limbeck: scores is nan at row 3"));
  CHECK_THROWS_MATCHES(lk::score_threshold(std::span<const double>(scores), 101), lk::value_error,
                       Message("limbeck: percent is 101, expected a number from 0 to 100"));
}

TEST_CASE("cascade: noise of a strength, by each row's own number", "[diffusion][cascade]") {
  const lk::rectified path;
  const std::vector<double> x{2, -1, 0.5};
  const std::vector<std::size_t> which{7, 2, 9}, one{2};
  std::vector<double> out(3), alone(1);
  const lk::rows<const double> view(x.data(), 3, 1);
  const double t = lk::renoise(path, view, which, 0.4, lk::random_stream(3), lk::rows<double>(out.data(), 3, 1));
  CHECK(t == Approx(0.4));
  for (std::size_t r = 0; r < 3; ++r) CHECK(out[r] == Approx(0.6 * x[r] + 0.4 * lk::random_stream(3).split(which[r]).normal()));
  lk::renoise(path, lk::rows<const double>(x.data() + 1, 1, 1), one, 0.4, lk::random_stream(3), lk::rows<double>(alone.data(), 1, 1));
  CHECK(alone[0] == out[1]);  // whatever rows are beside it
  CHECK(lk::renoise(path, view, which, 0, lk::random_stream(3), lk::rows<double>(out.data(), 3, 1)) == 0);
  CHECK(out == x);
  CHECK_THROWS_MATCHES(lk::renoise(path, view, which, 1.5, lk::random_stream(3), lk::rows<double>(out.data(), 3, 1)), lk::value_error,
                       Message("limbeck: strength is 1.5, expected a number from 0 to 1"));
}

}  // namespace
