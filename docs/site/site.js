// The theme's parts, where the theme is there.
if (typeof DoxygenAwesomeDarkModeToggle !== "undefined") DoxygenAwesomeDarkModeToggle.init();
if (typeof DoxygenAwesomeFragmentCopyButton !== "undefined") DoxygenAwesomeFragmentCopyButton.init();
if (typeof DoxygenAwesomeParagraphLink !== "undefined") DoxygenAwesomeParagraphLink.init();
