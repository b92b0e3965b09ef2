import { defineConfig } from "@playwright/test";

const PORT = 41873;

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.js",
  outputDir: "../target/page-tests",
  workers: 1,
  retries: 0,
  globalTimeout: 900_000,
  timeout: 120_000,
  // Other work may keep the machine busy.
  expect: { timeout: 20_000 },
  reporter: "list",
  use: {
    baseURL: `http://127.0.0.1:${PORT}/`,
    viewport: { width: 1280, height: 900 },
    // It would answer requests that tests want to answer.
    serviceWorkers: "block",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-quic",
      ],
    },
  },
  webServer: {
    command: `python3 -m http.server --bind 127.0.0.1 --directory ../dist/page ${PORT}`,
    port: PORT,
    stderr: "ignore",
    reuseExistingServer: false,
  },
});
