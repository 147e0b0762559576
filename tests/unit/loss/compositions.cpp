// Losses composed: several terms in one sweep, at temperatures of their own or apart for student and teacher, over all
// classes, without the label or over a mask, with weights drawn at random; over rows of every kind. Each is compared with
// the weighted sum of the definitions in long double, within the sum of what is promised of each.

#include "torture.hpp"

#include "catch.hpp"

#include <limbeck/limbeck.hpp>

#include <functional>
#include <span>
#include <tuple>

namespace lk = limbeck;
using namespace limbeck_test;

namespace {

/// What is drawn for a term.
struct drawn {
  double weight, student, teacher;
};
enum class at { one, two, own };  // temperatures: both sides', one a side, the loss's

template <class Domain, at Temperature, class Loss>
struct part {
  Loss loss;
  std::string name;
  std::vector<double> parameters;

  auto operator()(const drawn& x) const {
    if constexpr (Temperature == at::own) {
      return x.weight * loss;
    } else if constexpr (Temperature == at::two) {
      return x.weight * lk::at_temperature(x.student, x.teacher, lk::unscaled(lk::on<Domain>(loss)));
    } else {
      return x.weight * lk::at_temperature(x.student, lk::unscaled(lk::on<Domain>(loss)));
    }
  }
};
template <class Domain = lk::all, at Temperature = at::one, class Loss>
part<Domain, Temperature, Loss> of(Loss loss, std::string name, std::vector<double> parameters = {}) {
  return {loss, std::move(name), std::move(parameters)};
}

enum class over { all, non_target, masked };
struct term {
  specimen loss;
  over domain;
  at temperature;
};
template <class T>
using runner = std::function<outcome<T>(const batch<T>&, std::span<const unsigned char>, std::span<const drawn>)>;
struct composition {
  std::vector<term> terms;
  runner<float> in_float;
  runner<double> in_double;
  const auto& run(float) const { return in_float; }
  const auto& run(double) const { return in_double; }
};

specimen find(const std::string& name, const std::vector<double>& parameters) {
  for (const auto& s : all_specimens())
    if (s.name == name && s.parameters == parameters) return s;
  throw std::logic_error("no specimen " + name);
}

template <class... Domains, at... Temperatures, class... Losses>
composition compose(const part<Domains, Temperatures, Losses>&... parts) {
  composition c;
  const auto domain = []<class D>(D) {
    return std::is_same_v<D, lk::all> ? over::all : std::is_same_v<D, lk::masked> ? over::masked : over::non_target;
  };
  (c.terms.push_back({find(parts.name, parts.parameters), domain(Domains{}), Temperatures}), ...);
  const auto run = [all = std::tuple(parts...)]<class T>(const batch<T>& b, std::span<const unsigned char> mask,
                                                         std::span<const drawn> x) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      const lk::objective sum{(std::get<I>(all)(x[I]) + ...)};
      lk::workspace ws;
      outcome<T> out{0, std::vector<T>(b.samples), std::vector<T>(b.size(), T(77))};
      const auto call = [&](const auto&... more) {
        out.loss = sum(b.s(), b.t(), b.labels, more..., lk::unread_is_fine,
                       lk::into(lk::rows<T>{out.gradient.data(), b.samples, b.classes}), lk::row_losses(out.values), lk::sum, ws)
                       .loss;
      };
      if constexpr ((std::is_same_v<Domains, lk::masked> || ...)) {
        call(lk::class_mask(mask));
      } else {
        call();
      }
      return out;
    }(std::index_sequence_for<Losses...>{});
  };
  c.in_float = run;
  c.in_double = run;
  return c;
}

const std::vector<composition>& compositions() {
  static const std::vector<composition> all{
      compose(of(lk::cross_entropy{}, "cross_entropy", {0.0}), of(lk::forward_kl{}, "forward_kl"), of(lk::reverse_kl{}, "reverse_kl"),
              of<lk::all, at::two>(lk::jensen_shannon{.beta = 0.1}, "jensen_shannon", {0.1})),
      compose(of(lk::dkd{.alpha = 1, .beta = 8}, "dkd", {1.0, 8.0}), of(lk::cross_entropy{.smoothing = 0.1}, "cross_entropy", {0.1}),
              of<lk::masked>(lk::forward_kl{}, "forward_kl")),
      compose(of<lk::all, at::own>(lk::nkd{.gamma = 1.5, .temperature = 4}, "nkd", {1.5, 4.0}),
              of(lk::soft_cross_entropy{}, "soft_cross_entropy"), of(lk::total_variation{}, "total_variation")),
      compose(of<lk::all, at::two>(lk::skew_kl{.alpha = 0.1}, "skew_kl", {0.1}),
              of(lk::skew_reverse_kl{.alpha = 0.1}, "skew_reverse_kl", {0.1}), of(lk::mse{}, "mse")),
      compose(of(lk::alpha_divergence{.alpha = 0.5}, "alpha_divergence", {0.5}),
              of<lk::non_target>(lk::squared_hellinger{}, "squared_hellinger"),
              of<lk::masked, at::two>(lk::reverse_kl{}, "reverse_kl")),
      compose(of(lk::alpha_divergence{.alpha = 0.9}, "alpha_divergence", {0.9}), of<lk::non_target>(lk::forward_kl{}, "forward_kl"),
              of(lk::cross_entropy{}, "cross_entropy", {0.0}), of(lk::dkd{.alpha = 0.5, .beta = 2}, "dkd", {0.5, 2.0})),
  };
  return all;
}

/// The one row of @p b over a domain alone, and where its classes are.
template <class T>
batch<T> restricted(const batch<T>& b, over domain, std::span<const unsigned char> mask, std::vector<std::size_t>& kept) {
  const auto label = static_cast<std::size_t>(b.labels[0]);
  batch<T> cut{1, 0, {}, {}, {0}};
  kept.clear();
  for (std::size_t c = 0; c < b.classes; ++c) {
    if ((domain == over::non_target && c == label) || (domain == over::masked && !mask[c])) continue;
    if (c == label) cut.labels[0] = static_cast<int>(kept.size());
    kept.push_back(c);
    cut.student.push_back(b.student[c]);
    cut.teacher.push_back(b.teacher[c]);
  }
  cut.classes = kept.size();
  return cut;
}

template <class T>
std::size_t torture(std::size_t rounds) {
  std::mt19937 random(40);
  std::size_t cases = 0;
  const double weights[] = {0.1, 0.5, 1, 3}, temperatures[] = {0.5, 1, 2, 4, 20};
  for (std::size_t i = 0; i < rounds; ++i) {
    recipe r = random_recipe(random);
    r.scale = std::min(r.scale, 4.0);
    const auto b = make_row<T>(r, random);
    std::vector<unsigned char> mask(r.classes, 1);
    for (auto& m : mask) m = random() % 3 > 0;
    mask[static_cast<std::size_t>(b.labels[0])] = mask[(static_cast<std::size_t>(b.labels[0]) + 1) % r.classes] = 1;
    for (const auto& c : compositions()) {
      std::vector<drawn> x;
      for (const auto& part : c.terms) {
        (void)part;
        const double again = x.empty() ? 1 : x.front().student;
        const double one = random() % 2 ? again : temperatures[random() % 5];
        x.push_back({weights[random() % 4], one, random() % 2 ? one : temperatures[random() % 5]});
      }
      const auto got = c.run(T{})(b, mask, x);
      const real ulp = std::numeric_limits<T>::epsilon();
      real value = 0;
      bounds bound{0, 0};
      std::vector<real> gradient(b.classes);
      std::ostringstream title;
      for (std::size_t k = 0; k < c.terms.size(); ++k) {
        const auto& [loss, domain, temperature] = c.terms[k];
        std::vector<std::size_t> kept;
        const auto cut = restricted(b, domain, mask, kept);
        const double s = temperature == at::own ? 1 : x[k].student, t = temperature == at::two ? x[k].teacher : s;
        const auto expected = loss.reference(
            row_of(cut.student.data(), cut.teacher.data(), cut.classes, static_cast<std::size_t>(cut.labels[0]), s, t));
        const auto may = promised(loss, cut, s, t, expected, domain != over::all);
        const real w = static_cast<real>(x[k].weight);
        real norm = 0;
        for (std::size_t j = 0; j < kept.size(); ++j) {
          gradient[kept[j]] += w * expected.gradient[j];
          norm += expected.gradient[j] * expected.gradient[j];
        }
        value += w * expected.value;
        bound.value += w * (may.value + 4 * ulp * std::fabs(expected.value));
        bound.gradient += w * (may.gradient + 4 * ulp * std::sqrt(norm));
        title << x[k].weight << ' ' << loss.title() << " at " << s << ", " << t << " over " << kept.size() << "; ";
      }
      INFO(title.str() << (sizeof(T) == 4 ? "in float: " : "in double: ") << in_words(r));
      REQUIRE(std::all_of(got.gradient.begin(), got.gradient.end(), [](T g) { return g - g == 0; }));
      ++cases;
      if (!(value <= static_cast<real>(std::numeric_limits<T>::max()))) {
        REQUIRE(got.values[0] == infinity<T>);
        continue;
      }
      real off = 0;
      for (std::size_t j = 0; j < b.classes; ++j) {
        const real d = static_cast<real>(got.gradient[j]) - gradient[j];
        off += d * d;
      }
      INFO("value " << static_cast<double>(value) << ", got " << got.values[0]);
      REQUIRE(static_cast<double>(std::fabs(static_cast<real>(got.values[0]) - value) / bound.value) <= 1);
      REQUIRE(static_cast<double>(std::sqrt(off) / bound.gradient) <= 1);
    }
  }
  return cases;
}

}  // namespace

TEST_CASE("compositions over rows of every kind in float") { CHECK(torture<float>(400) == 400 * compositions().size()); }
TEST_CASE("compositions over rows of every kind in double") { CHECK(torture<double>(250) == 250 * compositions().size()); }
