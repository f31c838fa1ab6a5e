"""From a manifest file to checked, frozen values; what is wrong comes back as `Problem`s."""
