// What the compiler alone can say: concepts, sizes, regularity, and what a composition is.

#include <limbeck/limbeck.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

namespace lk = limbeck;

namespace {

// policies are plain aggregates, and values
template <class L>
constexpr bool is_policy = lk::loss<L>&& std::is_aggregate_v<L>&& std::semiregular<L>&& std::is_trivially_copyable_v<L>;
static_assert(is_policy<lk::cross_entropy> && is_policy<lk::soft_cross_entropy> && is_policy<lk::forward_kl>);
static_assert(is_policy<lk::reverse_kl> && is_policy<lk::jensen_shannon> && is_policy<lk::skew_kl>);
static_assert(is_policy<lk::skew_reverse_kl> && is_policy<lk::total_variation> && is_policy<lk::squared_hellinger>);
static_assert(is_policy<lk::alpha_beta> && is_policy<lk::alpha_divergence> && is_policy<lk::mse> && is_policy<lk::dkd> && is_policy<lk::nkd>);
static_assert(!lk::loss<int> && !lk::loss<lk::linear>);
static_assert(lk::jensen_shannon{.beta = 0.3}.beta == 0.3);

// compositions too; they hold settings and nothing else
constexpr auto composed = 0.1 * lk::cross_entropy{.smoothing = 0.05} +
                          lk::at_temperature(4.0, lk::forward_kl{} + 0.3 * lk::named<"back">(lk::reverse_kl{}));
static_assert(lk::loss<decltype(composed)>);
static_assert(std::copyable<std::remove_cv_t<decltype(composed)>>);
static_assert(std::is_trivially_copyable_v<std::remove_cv_t<decltype(composed)>>);
static_assert(sizeof(composed) <= 64);
static_assert(lk::loss<decltype(lk::unscaled(composed))> && lk::loss<decltype(lk::on<lk::masked>(lk::forward_kl{}))>);

// numbers and schedules
static_assert(lk::number<int> && lk::number<double> && lk::number<lk::cosine> && !lk::number<const char*>);
static_assert(!lk::schedule<double> && lk::schedule<lk::constant> && lk::schedule<lk::linear>);
static_assert(lk::schedule<lk::cosine> && lk::schedule<lk::exponential> && lk::schedule<lk::step>);
static_assert(lk::schedule<lk::piecewise> && lk::schedule<decltype(lk::warm_up(0.1, 2.0))>);
static_assert(lk::schedule<decltype(lk::sequence(1.0, 0.5, lk::linear(1, 2)))>);
static_assert(std::copyable<lk::linear> && std::copyable<lk::piecewise> && std::copyable<lk::step>);
static_assert(lk::linear(2, 4)(0.5) == 3 && (0.5 * lk::linear(2, 4))(1) == 2);
static_assert(lk::progress(3, 7).fraction() == 0.5);
static_assert(sizeof(lk::linear) == 2 * sizeof(double));

// temperatures
static_assert(lk::temperature<double> && lk::temperature<lk::linear> && lk::temperature<lk::fixed<4>>);
static_assert(lk::temperature<lk::per_row> && lk::temperature<lk::learned_temperature>);
static_assert(!lk::temperature<const char*> && !lk::temperature<lk::forward_kl>);
static_assert(lk::fixed<1, 2>::value == 0.5 && std::is_empty_v<lk::fixed<4>>);

// tensors
static_assert(lk::tensor<lk::rows<float>> && lk::tensor<lk::rows<const double>> && lk::tensor<const lk::rows<float>&>);
static_assert(!lk::tensor<std::vector<float>> && !lk::tensor<float*> && !lk::tensor<int>);
static_assert(std::is_convertible_v<lk::rows<float>, lk::rows<const float>>);
static_assert(!std::is_convertible_v<lk::rows<const float>, lk::rows<float>>);
static_assert(std::semiregular<lk::progress>);
static_assert(std::is_trivially_copyable_v<lk::rows<float>> && sizeof(lk::rows<float>) == 5 * sizeof(void*));

// executors and workspaces
static_assert(lk::executor<lk::serial> && !lk::executor<int>);
static_assert(std::movable<lk::workspace> && !std::copyable<lk::workspace>);
static_assert(std::is_nothrow_move_constructible_v<lk::workspace>);

// errors
static_assert(std::derived_from<lk::shape_error, std::invalid_argument>);
static_assert(std::derived_from<lk::value_error, std::domain_error>);

// evaluations
static_assert(std::semiregular<lk::evaluation> && std::is_convertible_v<lk::evaluation, double>);

// packs are numbers: as large as their lanes, trivial, and broadcast only when asked
template <class X>
constexpr bool is_number =
    std::is_trivially_copyable_v<X> && sizeof(X) == sizeof(typename X::storage) &&
    !std::is_convertible_v<typename X::scalar, X> && std::is_constructible_v<X, typename X::scalar>;
static_assert(is_number<lk::pack<lk::vector_lanes<float>>> && is_number<lk::pack<lk::vector_lanes<double>>>);
static_assert(is_number<lk::pack<lk::scalar_lanes<float>>> && is_number<lk::pack<lk::scalar_lanes<double>>>);
constexpr lk::pack<lk::scalar_lanes<double>> two(2), three(3);
static_assert((two * three + two).v == 8 && larger(two, three).v == 3 && select(two < three, two, three).v == 2);

// terms that name one statistic share it
using student_softmax = lk::detail::softmax_key<lk::detail::student_side, lk::detail::fixed_slot<1, 1>, lk::all>;
template <class E>
using plan_for =
    typename lk::detail::plan_of<decltype(lk::detail::flatten(std::declval<E>(), lk::detail::context<>{}))>::type;
using plan = plan_for<decltype(lk::cross_entropy{} + lk::forward_kl{} + lk::reverse_kl{})>;
static_assert(plan::size == 3 && plan::softmaxes::size == 2 && plan::pairs::size == 1 && plan::slot_keys::size == 1);
static_assert(plan::softmaxes::contains<student_softmax> && plan::teacher && plan::labels);
using decoupled_plan = plan_for<decltype(lk::dkd{} + lk::forward_kl{})>;
static_assert(decoupled_plan::size == 3 && decoupled_plan::softmaxes::size == 4 && decoupled_plan::pairs::size == 2);
static_assert(decoupled_plan::uses_domain<lk::non_target> && !decoupled_plan::uses_domain<lk::masked>);

}  // namespace
