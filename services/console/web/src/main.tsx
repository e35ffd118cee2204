import "./ui/fonts.css";
import "./ui/tokens.css";
import "./ui/base.css";
import "./shell/shell.css";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { ProblemError } from "./contract/problem";
import { App } from "./shell/app";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      // Calls repeat by themselves while a service is away; a refusal stays a refusal.
      retry: (failures, error) => failures < 2 && !(error instanceof ProblemError),
    },
  },
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id 'root'");
createRoot(root).render(
  <QueryClientProvider client={queries}>
    <App />
  </QueryClientProvider>,
);
