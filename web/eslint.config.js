import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["generated", "node_modules"] },
  js.configs.recommended,
  tseslint.configs.recommended,
  { rules: { "no-undef": "off", "@typescript-eslint/no-non-null-assertion": "off" } },
);
