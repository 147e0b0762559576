// What is sampled follows the law that its definition gives: enumerated in long double over all texts of a few tokens.

#include "catch.hpp"
#include "models.hpp"

#include <limbeck/decoding/admitted.hpp>
#include <limbeck/decoding/corrected.hpp>
#include <limbeck/decoding/either.hpp>
#include <limbeck/decoding/in_context.hpp>
#include <limbeck/decoding/interleaved.hpp>
#include <limbeck/decoding/mixed.hpp>

#include <algorithm>
#include <functional>
#include <numeric>

namespace {

namespace lk = limbeck;
using namespace limbeck_test;
using law = std::vector<long double>;

law softmax(const std::vector<double>& x, double temperature) {
  law p;
  const double top = *std::max_element(x.begin(), x.end());
  for (const double v : x) p.push_back(std::exp((static_cast<long double>(v) - top) / temperature));
  const long double sum = std::accumulate(p.begin(), p.end(), 0.0L);
  for (auto& v : p) v /= sum;
  return p;
}
law over_its_sum(law p) {
  const long double sum = std::accumulate(p.begin(), p.end(), 0.0L);
  for (auto& v : p) v /= sum;
  return p;
}
/// The warpers as their definition says: in falling order, the lowest of equals first.
law warped(const std::vector<double>& x, const lk::sampling& how) {
  const std::size_t n = x.size();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
  law p(n, 0);
  if (how.temperature == 0) {
    p[order[0]] = 1;
    return p;
  }
  p = softmax(x, how.temperature);
  if (how.top_k > 0)
    for (std::size_t i = how.top_k; i < n; ++i) p[order[i]] = 0;
  p = over_its_sum(p);
  long double before = 0;
  for (const std::size_t c : order) {
    const long double mass = p[c];
    if (c != order[0] && before >= static_cast<long double>(how.top_p)) p[c] = 0;
    before += mass;
  }
  p = over_its_sum(p);
  const long double least = static_cast<long double>(how.min_p) * p[order[0]];
  for (auto& v : p)
    if (v < least) v = 0;
  return over_its_sum(p);
}
law mixture(const law& a, const law& b, long double share) {
  law p(a.size());
  for (std::size_t c = 0; c < p.size(); ++c) p[c] = (1 - share) * a[c] + share * b[c];
  return p;
}
std::size_t rank(const std::vector<double>& x, std::size_t c) {
  std::size_t r = 0;
  for (std::size_t d = 0; d < x.size(); ++d) r += x[d] > x[c] || (x[d] == x[c] && d < c);
  return r;
}

using next_law = std::function<law(const text&)>;
/// The probability of each text that is written behind a prompt.
void enumerate(const text& so_far, std::size_t left, token end, long double p, const next_law& next, std::map<text, long double>& out) {
  if (p == 0) return;
  if (left == 0 || (!so_far.empty() && so_far.back() == end)) {
    out[so_far] += p;
    return;
  }
  const law q = next(so_far);
  for (std::size_t c = 0; c < q.size(); ++c) {
    text longer = so_far;
    longer.push_back(static_cast<token>(c));
    enumerate(longer, left - 1, end, p * q[c], next, out);
  }
}

/// Pearson's statistic, six deviations of it above its mean at most; texts that cannot be are not there.
void agree(const lk::rollouts& samples, const std::map<text, long double>& expected) {
  std::map<text, double> counted;
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const auto answer = samples[s];
    ++counted[text(answer.begin(), answer.end())];
  }
  const auto n = static_cast<long double>(samples.size());
  long double statistic = 0, rare = 0, rarely = 0, cells = 0;
  for (const auto& [t, p] : expected) {
    const long double seen = counted.count(t) ? static_cast<long double>(counted[t]) : 0;
    if (n * p < 8) {  // together
      rare += n * p, rarely += seen;
    } else {
      statistic += (seen - n * p) * (seen - n * p) / (n * p), ++cells;
    }
    counted.erase(t);
  }
  if (rare > 8) statistic += (rarely - rare) * (rarely - rare) / rare, ++cells;
  CHECK(counted.empty());
  CHECK(cells > 3);
  CHECK(static_cast<double>(statistic) < static_cast<double>(cells + 6 * std::sqrt(2 * cells)));
}

constexpr std::size_t samples = 10000;

text with(const text& prompt, const text& answer) {
  text t = prompt;
  t.insert(t.end(), answer.begin(), answer.end());
  return t;
}

}  // namespace

TEST_CASE("decoding: temperature, top-k, top-p and min-p cut in this order") {
  lk::token_law distribution;
  std::size_t cut = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    for (const double temperature : {0.0, 0.5, 1.0, 2.0})
      for (const std::size_t top_k : {0U, 1U, 3U, 40U})
        for (const double top_p : {1.0, 0.9, 0.4})
          for (const double min_p : {0.0, 0.2}) {
            const auto x = logits_behind(seed, 7);
            const lk::sampling how{.temperature = temperature, .top_k = top_k == 40U ? 7U : top_k, .top_p = top_p, .min_p = min_p};
            lk::sampling given = how;
            given.top_k = top_k;
            const law expected = warped(x, how);
            distribution.set(x, given, [] { return "a row"; });
            double sum = 0;
            for (std::size_t c = 0; c < x.size(); ++c) {
              const double p = distribution[static_cast<token>(c)];
              CHECK((p == 0) == (expected[c] == 0));
              CHECK(p == Approx(static_cast<double>(expected[c])).epsilon(1e-13));
              cut += p == 0;
              const double middle = sum + p / 2;
              if (p > 0) CHECK(distribution.at(middle) == static_cast<token>(c));
              sum += p;
              CHECK(distribution.rank(static_cast<token>(c)) >= (p > 0 ? rank(x, c) : 0));
            }
          }
  CHECK(cut > 1000);
}

TEST_CASE("decoding: among equals the lowest token stays, and greedy takes it") {
  const std::vector<double> x{1, 2, 0, 2, 2, -INFINITY};
  lk::token_law distribution;
  const auto kept = [&](const lk::sampling& how) {
    distribution.set(x, how, [] { return "a row"; });
    text out;
    for (token c = 0; c < 6; ++c)
      if (distribution[c] > 0) out.push_back(c);
    return out;
  };
  CHECK(kept({.temperature = 0}) == text{1});
  CHECK(kept({.top_k = 2}) == text{1, 3});
  CHECK(kept({.top_p = 0.5}) == text{1, 3});
  CHECK(kept({.min_p = 1}) == text{1, 3, 4});
  CHECK(kept({}) == text{0, 1, 2, 3, 4});
  CHECK(distribution.at(0.9999999999999999) == 4);
}

TEST_CASE("decoding: entropy, divergence and rank of classes whose probability is 0 in double") {
  const auto of = [](const std::vector<double>& x, const lk::sampling& how = {}) {
    lk::token_law p;
    p.set(x, how, [] { return "a row"; });
    return p;
  };
  const auto kl = [](const std::vector<double>& a, const std::vector<double>& b) {
    long double za = 0, zb = 0, sum = 0;
    for (std::size_t c = 0; c < a.size(); ++c) za += std::exp(static_cast<long double>(a[c])), zb += std::exp(static_cast<long double>(b[c]));
    for (std::size_t c = 0; c < a.size(); ++c)
      if (const long double p = std::exp(static_cast<long double>(a[c])) / za; p > 0)
        sum += p * (static_cast<long double>(a[c]) - static_cast<long double>(b[c]) + std::log(zb / za));
    return static_cast<double>(sum);
  };
  const std::vector<double> teacher{0, -40, -40}, student{-3, 0, -1000}, hidden{0, 0, -744.9};
  CHECK(of(teacher).divergence(of(student)) == Approx(kl(teacher, student)).epsilon(1e-12));
  CHECK(of(hidden).entropy() == Approx(std::log(2.0)));
  CHECK(of(hidden).divergence(of({0, 0, 0})) == Approx(std::log(1.5)));
  CHECK(of({0, 0, 0}).divergence(of({0, 0, -1e9})) == Approx(1e9 / 3));
  CHECK(of({0, 0, 0}).divergence(of({0, 0, -INFINITY})) == INFINITY);
  CHECK(of({0, 0, -INFINITY}).divergence(of({0, 0, -INFINITY})) == 0);
  CHECK(of({0, 0, 0}).divergence(of({0, 1, -1}, {.top_k = 2})) == INFINITY);
  CHECK(of({0, 0, 0}).divergence(of({0, 1, -2}, {.min_p = 0.1})) == INFINITY);
  CHECK(of({1, 0, 0}, {.temperature = 0}).entropy() == 0);
  CHECK(of({0, -900, -800}).rank(2) == 1);
  lk::token_law mixed = of({0, -1000, -INFINITY, -INFINITY});
  mixed.mix(of({0, -1e9, -2000, -INFINITY}), 0.25);
  const lk::token_law even = of({0, 0, 0, -INFINITY});
  CHECK(even.divergence(mixed) ==
        Approx(static_cast<double>((1000 - std::log(0.75L) + 2000 - std::log(0.25L)) / 3 - std::log(3.0L))).epsilon(1e-12));
  CHECK(mixed.rank(2) == 2);
}

TEST_CASE("decoding: samples follow the law of their decoding") {
  const text prompt{2, 1}, other{3};
  const std::vector<text> prompts(samples, prompt), contexts(samples, other);
  toy_model student{.seed = 5}, teacher{.seed = 6};
  for (const lk::sampling& how : {lk::sampling{.length = 3, .end = 0, .seed = 7},
                                  lk::sampling{.length = 3, .temperature = 0.7, .top_k = 3, .top_p = 0.9, .min_p = 0.05, .end = 0, .seed = 8}}) {
    const auto check = [&](auto&& decoding, const next_law& next) {
      std::map<text, long double> expected, whole;
      enumerate({}, how.length, how.end, 1, next, expected);
      for (const auto& [answer, p] : expected) whole[with(prompt, answer)] = p;
      const auto written = lk::sample(decoding, prompts, how);
      agree(written, whole);
      return written;
    };
    const auto of = [&](const toy_model& m, const text& before) {
      return [&, before](const text& answer) { return warped(m.behind(with(before, answer)), how); };
    };
    const next_law s = of(student, prompt), t = of(teacher, prompt), c = of(student, other);

    const auto alone = check(student, s);
    for (std::size_t i = 0, at = 0; i < 50; ++i)
      for (const token y : alone[i]) {
        const std::size_t place = at - alone.sequences.begin(i);
        const text before(alone[i].begin(), alone[i].begin() + static_cast<std::ptrdiff_t>(place));
        const double log_p = alone.log_probabilities[at++];
        if (place >= 2) {
          CHECK(log_p == Approx(static_cast<double>(std::log(warped(student.behind(before), how)[static_cast<std::size_t>(y)]))));
        } else {
          CHECK(log_p == 0);
        }
      }
    check(lk::mixed(student, teacher, 0.2), [&](const text& a) { return mixture(s(a), t(a), 0.2L); });
    check(lk::mixed(student, lk::in_context(student, contexts), 0.3), [&](const text& a) { return mixture(s(a), c(a), 0.3L); });
    check(lk::either(student, lk::in_context(student, contexts), 0.3), [&](const text& a) { return mixture(s(a), c(a), 0.3L); });
    for (const std::size_t block : {1U, 5U})
      for (const lk::interleaving& stay : {lk::interleaving{.top_k = 2, .block = block}, lk::interleaving{.top_k = 4, .top_p = 0.6, .block = block},
                                           lk::interleaving{.top_k = 0, .block = block}})
        check(lk::interleaved(student, teacher, stay), [&](const text& a) {
          const auto x = teacher.behind(with(prompt, a));
          const law plain = softmax(x, 1), draft = s(a), replaced = t(a);
          law p(4, 0);
          long double rejected = 0;
          for (std::size_t v = 0; v < 4; ++v) {
            long double mass = 0;
            for (std::size_t u = 0; u < 4; ++u) mass += rank(x, u) <= rank(x, v) ? plain[u] : 0;
            const bool stays = rank(x, v) < stay.top_k &&
                               (stay.top_p == 1 || rank(x, v) == 0 || mass < static_cast<long double>(stay.top_p));
            (stays ? p[v] : rejected) += draft[v];
          }
          for (std::size_t v = 0; v < 4; ++v) p[v] += rejected * replaced[v];
          return p;
        });
    for (const std::size_t tries : {1U, 3U})
      check(lk::admitted(teacher, student, {.probability = 0.25, .tries = tries}), [&](const text& a) {
        const auto x = student.behind(with(prompt, a));
        const law mine = softmax(x, 1), fallback = s(a), proposal = t(a);
        law p(4, 0);
        long double left = 1;
        for (std::size_t r = 0; r < tries; ++r) {
          long double rejected = 0;
          for (std::size_t v = 0; v < 4; ++v) {
            const bool in = mine[v] >= 0.25L && (how.top_k == 0 || rank(x, v) < how.top_k);
            (in ? p[v] : rejected) += left * proposal[v];
          }
          left = rejected;
        }
        for (std::size_t v = 0; v < 4; ++v) p[v] += left * fallback[v];
        return p;
      });
  }
}

TEST_CASE("decoding: the sequence correction follows its law") {
  const text prompt{1};
  const std::vector<text> prompts(samples, prompt);
  toy_model student{.seed = 15, .vocabulary = 3}, teacher{.seed = 16, .vocabulary = 3};
  const lk::sampling how{.length = 3, .temperature = 0.8, .end = 0, .seed = 3};
  const next_law s = [&](const text& a) { return warped(student.behind(with(prompt, a)), how); };
  const next_law t = [&](const text& a) { return warped(teacher.behind(with(prompt, a)), how); };
  const auto distance = [&](const text& a) {
    const law p = softmax(teacher.behind(with(prompt, a)), 1), q = softmax(student.behind(with(prompt, a)), 1);
    long double sum = 0;
    for (std::size_t c = 0; c < 3; ++c) sum += p[c] * std::log(p[c] / q[c]);
    return sum;
  };
  std::map<text, long double> written, expected;
  enumerate({}, how.length, how.end, 1, s, written);
  for (const auto& [y, p] : written) {
    std::map<text, long double> drawn;  // the teacher's tokens
    enumerate({}, y.size(), -1, p, [&, &y = y](const text& u) { return t(text(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(u.size()))); }, drawn);
    for (const auto& [u, q] : drawn) {
      std::size_t at = y.size();
      long double worst = -1;
      for (std::size_t i = 0; i < y.size(); ++i) {
        const long double d = distance(text(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(i)));
        if (u[i] != y[i] && d > worst) worst = d, at = i;
      }
      if (at == y.size()) {
        expected[with(prompt, y)] += q;
        continue;
      }
      text kept(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(at));
      kept.push_back(u[at]);
      std::map<text, long double> whole;
      enumerate(kept, how.length - kept.size(), how.end, q, s, whole);
      for (const auto& [answer, r] : whole) expected[with(prompt, answer)] += r;
    }
  }
  const auto first = lk::sample(student, prompts, how);
  agree(lk::corrected_once(student, teacher, first, how), expected);
}
