export default {
  root: true,
  extends: ["html-validate:recommended"],
  rules: {
    // Repeated fields are how a form sends several desks, exclusions and answers.
    "form-dup-name": "off",
    // A matter of style, not of the standard: we write <!doctype html>, and a
    // button without a type sends its form.
    "doctype-style": ["error", { style: "lowercase" }],
    "no-implicit-button-type": "off",
  },
};
